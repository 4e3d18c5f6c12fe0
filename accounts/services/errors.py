from rest_framework.exceptions import ErrorDetail, ValidationError


def unusable_link_error(field: str, message: str) -> ValidationError:
    """Return the error for a mailed link that can't be used, or not with this `field`."""
    return ValidationError({field: [ErrorDetail(message, code="unusable")]})
