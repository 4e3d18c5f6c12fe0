"""Read the error in a provider's response, whatever its form.

Providers send `{"error": {...}}`, `{"error": "text"}`, `[{"error": {...}}]`, FastAPI's `detail`,
the fields without an `error`, JSON inside a string, or plain text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 8
MAX_TEXT_CHARS = 8_000
# Fields that may repeat the request, whose words say nothing about the error.
_ECHOES = {
    "body", "callstack", "failed_generation", "flagged_input", "input", "messages", "prompt",
    "request", "stack", "traceback", "url",
}  # fmt: skip
_CODES = ("code", "error_code", "status_code", "status", "type", "error_type")
_PARAMETERS = ("param", "loc", "parameter", "field", "property", "location")
# What may be logged: an identifier has no words of a text, and is shorter than a key.
_identifier = re.compile(r"(?!sk-)[A-Za-z][\w.:\[\]/-]{0,49}|\d{3,9}", re.ASCII)

Field = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The error: its HTTP `status`, if it has one of its own, and what may be logged.

    `code` and `param` are identifiers, "" if there is none. `text` is everything in lower case,
    for searching only, because it may quote the request.
    """

    status: int | None
    code: str
    param: str
    text: str


def parse_error_body(content: bytes) -> ErrorBody:
    """Return the error in any `content`."""
    try:
        return describe_error(json.loads(content))
    except (ValueError, RecursionError):
        return describe_error(content[:MAX_TEXT_CHARS].decode("utf-8", "replace"))


def describe_error(value: Any) -> ErrorBody:
    """Return the error in a JSON value."""
    fields = list(_walk(value))
    codes = [text for name in _CODES for key, text in fields if key == name]
    statuses = [int(code) for code in codes if re.fullmatch(r"[45]\d\d", code)]
    params = [text for key, text in fields if key in _PARAMETERS]
    text = " ".join(text for _, text in fields)[:MAX_TEXT_CHARS].lower().replace("\u2019", "'")
    return ErrorBody(
        status=next(iter(statuses), None),
        code=_find_identifier(sorted(codes, key=str.isdigit)),
        param=_find_identifier(params),
        text=" ".join(text.split()),
    )


def find_error(payload: Any) -> Any:
    """Return the error in the answer to a successful request, None if there is none.

    A gateway that has sent 200 already reports a failure so; others leave out the choices.
    """
    if isinstance(payload, list):
        return next(filter(None, map(find_error, payload)), None)
    if not isinstance(payload, dict):
        return None
    error = payload.get("error") or payload.get("errors")
    if error and describe_error(error).text:
        return error
    names = {"message", "msg", "detail", "error_msg", "error_message", "base_resp", "status_msg"}
    return payload if names & payload.keys() and not payload.get("choices") else None


def _walk(value: Any, key: str = "", depth: int = 0) -> Iterator[Field]:
    """Yield the name and text of each value, in order."""
    if depth > MAX_DEPTH or key in _ECHOES or value is None:
        return
    if key == "loc" and isinstance(value, list):
        yield key, ".".join(map(str, value))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, str(name), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, key, depth + 1)
    elif isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        yield from _walk_json(value, key, depth)
    else:
        yield key, str(value)


def _walk_json(text: str, key: str, depth: int) -> Iterator[Field]:
    """Yield the fields of an error that a gateway passes on as a string."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield key, text
    else:
        yield from _walk(value, key, depth + 1)


def _find_identifier(texts: list[str]) -> str:
    return next((text for text in texts if _identifier.fullmatch(text)), "")
