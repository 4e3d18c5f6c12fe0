"""The components that all operations of the OpenAPI schema share: headers and errors."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

from common.api.problems import CONTENT_TYPE


class ProblemType(NamedTuple):
    """An error response: its component's name, its description and its `code`."""

    component: str
    description: str
    code: str


PROBLEM_TYPES = {
    400: ProblemType(
        "BadRequest", "A field or parameter is invalid; `errors` names each.", "validation_error"
    ),
    401: ProblemType("NotAuthenticated", "The token is missing or invalid.", "not_authenticated"),
    403: ProblemType("Forbidden", "Your role does not allow this.", "permission_denied"),
    404: ProblemType("NotFound", "Not found, or you do not have access to it.", "not_found"),
    409: ProblemType("Conflict", "The state of the row does not allow this.", "conflict"),
    410: ProblemType("Gone", "What the request names is no longer kept.", "history_gone"),
    411: ProblemType("LengthRequired", "The request needs a `Content-Length`.", "length_required"),
    412: ProblemType(
        "PreconditionFailed",
        "The row's current `ETag` is not the one in `If-Match`.",
        "precondition_failed",
    ),
    413: ProblemType("TooLarge", "The request body is too large.", "too_large"),
    415: ProblemType(
        "UnsupportedMediaType",
        "The media type of the request body is not supported.",
        "unsupported_media_type",
    ),
    421: ProblemType(
        "Misdirected", "Another process serves this; `detail` has its URL.", "misdirected_request"
    ),
    422: ProblemType(
        "KeyReused",
        "This `Idempotency-Key` was already used with another request body.",
        "idempotency_key_reused",
    ),
    429: ProblemType("TooManyRequests", "Wait for `Retry-After` seconds.", "throttled"),
    502: ProblemType(
        "ProviderRefused",
        "The AI provider refused the request, which would fail again.",
        "provider_refused",
    ),
    503: ProblemType(
        "Unavailable", "A required service is unavailable; try again soon.", "service_unavailable"
    ),
    504: ProblemType(
        "ProviderTimeout", "The AI provider did not answer in time.", "provider_timeout"
    ),
}
PROBLEM_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
# The description and the schema of each header.
HEADERS = {
    "X-Request-ID": ("The id of this request in our logs.", {"type": "string"}),
    "ETag": ("The version of the response, for conditional requests.", {"type": "string"}),
    "WWW-Authenticate": ("How to authenticate.", {"type": "string", "example": "Bearer"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "example": 7}),
    "RateLimit-Limit": ("Allowed requests.", {"type": "integer"}),
    "RateLimit-Remaining": ("Remaining requests.", {"type": "integer"}),
    "RateLimit-Reset": ("Seconds until more requests are allowed.", {"type": "integer"}),
}


def build_components() -> dict[str, dict[str, Any]]:
    """Return the shared components by section."""
    headers = {
        name: {"description": text, "schema": schema} for name, (text, schema) in HEADERS.items()
    }
    responses = {
        problem_type.component: _problem_response(status, problem_type)
        for status, problem_type in PROBLEM_TYPES.items()
    }
    return {"schemas": {"Problem": _problem_schema()}, "headers": headers, "responses": responses}


def _problem_schema() -> dict[str, Any]:
    """Return the schema of an error: the members of RFC 9457 and ours."""
    text = {"type": "string"}
    field_error = {
        "type": "object",
        "properties": {"field": text, "code": text, "message": text},
        "required": ["field", "code", "message"],
    }
    properties: dict[str, Any] = {
        "type": text | {"format": "uri"},
        "title": text,
        "status": {"type": "integer"},
        "detail": text | {"description": "For people; the text may change."},
        "code": text | {"description": "For programs; never changes."},
        "request_id": text | {"description": "The id of this request in our logs."},
        "errors": {"type": "array", "items": field_error, "description": "The invalid fields."},
    }
    required = [name for name in properties if name != "errors"]
    return {
        "type": "object",
        "description": "An error (RFC 9457).",
        "properties": properties,
        "required": required,
    }


def _problem_response(status: int, problem_type: ProblemType) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:bureau:problem:{problem_type.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem_type.description.replace("`", ""),
        "code": problem_type.code,
        "request_id": "01980c1e-7f1a-7b3e-9d52-3f6a2f0c9b11",
    }
    if status == 400:
        error = {"field": "name", "code": "required", "message": "This field is required."}
        example |= {"detail": "name: This field is required.", "errors": [error]}
    names = ("X-Request-ID", *PROBLEM_HEADERS.get(status, ()))
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {
        "description": problem_type.description,
        "headers": build_references("headers", names),
        "content": {CONTENT_TYPE: content},
    }


def build_references(section: str, names: Iterable[str]) -> dict[str, Any]:
    """Return references to the shared components `names` of a section, by name."""
    return {name: {"$ref": f"#/components/{section}/{name}"} for name in names}
