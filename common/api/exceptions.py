from rest_framework import status
from rest_framework.exceptions import APIException


class Conflict(APIException):
    """409: the row is not in a state that allows this."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "The row's state does not allow this."
    default_code = "conflict"


class ServiceUnavailable(APIException):
    """503: the database or another needed part is away; `Retry-After` in seconds."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "A part that this needs is away at the moment. Try again soon."
    default_code = "service_unavailable"
    wait = 2


class LengthRequired(APIException):
    """411: the body comes without a `Content-Length`."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "The request needs a Content-Length."
    default_code = "length_required"


class TooLarge(APIException):
    status_code = 413
    default_detail = "The body is larger than this API takes."
    default_code = "too_large"


class PreconditionFailed(APIException):
    """412: the row is no longer what `If-Match` names."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The row has changed since you read it."
    default_code = "precondition_failed"
