"""Fields in a request body that its route does not know."""

from collections.abc import Collection, Mapping
from heapq import nsmallest
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ErrorDetail, ParseError, ValidationError

# A body can have a million unknown fields; the error names only the first of them.
MAX_UNKNOWN_FIELDS_NAMED = 20
# The browsable API's forms send these fields.
FORM_FIELDS = {"csrfmiddlewaretoken"}


def find_unknown_errors(
    data: Mapping[str, Any], known: Collection[str]
) -> dict[str, list[ErrorDetail]]:
    """Return the errors of the fields in `data` that are not `known`."""
    names = set(data) - set(known)
    if isinstance(data, QueryDict):
        names -= FORM_FIELDS
    error = ErrorDetail("Unknown field.", code="unknown_field")
    return {name: [error] for name in nsmallest(MAX_UNKNOWN_FIELDS_NAMED, names)}


def reject_body(data: Any) -> None:
    """Raise an error if the body of a route that takes none has fields."""
    if not data:
        return
    if not isinstance(data, Mapping):
        raise ParseError("This request takes no body.")
    if errors := find_unknown_errors(data, ()):
        raise ValidationError(errors)
