"""The text of a search, as clients send it."""

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

QUERY_SCHEMA = {"type": "string", "pattern": r"\S"}


def read_search_text(request: Request) -> str:
    """Return the parameter `q`; raise `ValidationError` if it has no text."""
    text = request.query_params.get("q", "")
    if not text.strip():
        raise ValidationError({"q": [ErrorDetail("This parameter is required.", "required")]})
    if "\0" in text:
        error = ErrorDetail("Null characters are not allowed.", "null_characters_not_allowed")
        raise ValidationError({"q": [error]})
    return text
