from collections.abc import Callable
from typing import Any

from rest_framework.exceptions import ValidationError


def collect_errors(*functions: Callable[[], Any]) -> list[Any]:
    """Call all functions and return their results; raise all their validation errors as one."""
    results: list[Any] = []
    errors: dict[str, Any] = {}
    for function in functions:
        try:
            results.append(function())
        except ValidationError as error:
            if not isinstance(error.detail, dict):
                raise
            errors |= error.detail
    if errors:
        raise ValidationError(errors)
    return results
