"""Error responses as RFC 9457 `application/problem+json`."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import parse_qsl

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    UnreadablePostError,
)
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError
from rest_framework.exceptions import PermissionDenied as Forbidden
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from common.api import db_errors
from common.api.exceptions import RequestTimeout, RequestTooLarge, ServiceUnavailable
from common.api.text import shorten, shorten_message
from common.logs import current_request_id
from common.ratelimit.throttles import count_rejected_request
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
BYTES_PER_MB = 1024 * 1024
# Errors named in the `detail` sentence; the `errors` list has all of them.
MAX_ERRORS_IN_DETAIL = 5
# Finds queries that may have the parameter `format`, whose name can be percent-encoded. Parsing
# each query would take longer.
FORMAT_NAME = re.compile(r"(^|&)(?=[^=&]*%|format)[^=&]*=")
CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    500: "internal_error",
    503: "service_unavailable",
}
DETAILS = {
    404: "Not found, or you do not have access to it.",
    408: "The request body was not received in time. Try again.",
    500: "Internal error. Quote the request id when you report it.",
    503: "A required service is unavailable. Try again soon.",
}


def problem(
    status_code: int, *, detail: str = "", code: str = "", errors: list[dict] | None = None
) -> dict[str, Any]:
    """Return a problem document; each of `errors` has `field`, `code` and `message`."""
    title = HTTPStatus(status_code).phrase
    code = code or CODES.get(status_code, title.lower().replace(" ", "_"))
    document = {
        "type": f"urn:bureau:problem:{code}",
        "title": title,
        "status": status_code,
        "detail": detail or DETAILS.get(status_code, title + "."),
        "code": code,
        "request_id": current_request_id(),
    }
    return document | ({"errors": errors} if errors else {})


def problem_response(status_code: int, **members: Any) -> JsonResponse:
    """Return a problem document as a plain Django response, which caches may not store."""
    document = problem(status_code, **members)
    headers = {"Cache-Control": "no-store"}
    return JsonResponse(document, status=status_code, content_type=CONTENT_TYPE, headers=headers)


def wants_html(request: HttpRequest) -> bool:
    """Return whether the client asks for HTML: by `?format=`, or as browsers do by `Accept`."""
    if chosen_format := _get_format(request.META.get("QUERY_STRING", "")):
        return chosen_format == "api"
    if "html" not in request.META.get("HTTP_ACCEPT", ""):
        return False
    return request.get_preferred_type(["application/json", "text/html"]) == "text/html"


def _get_format(query: str) -> str:
    """Return the parameter `format`; not by `request.GET`, which may refuse the query."""
    if not FORMAT_NAME.search(query):
        return ""
    return dict(parse_qsl(query)).get("format", "")


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Convert an exception to a problem response; `None` passes it on to Django.

    DRF calls this for every exception of a view.
    """
    error = _as_api_exception(exc)
    if error is None:
        return None
    error = count_rejected_request(error, context)
    set_rollback()
    document, headers = _error_document(error), _error_headers(error)
    if _uses_browsable_api(context["request"]):
        return Response(document, status=error.status_code, headers=headers, exception=True)
    # Not the view's own renderer: it may not support JSON, as on the documentation pages.
    return JsonResponse(
        document, status=error.status_code, headers=headers, content_type=CONTENT_TYPE
    )


def _as_api_exception(exc: Exception) -> APIException | None:
    match exc:
        case APIException():
            return exc
        case Http404():
            return NotFound(DETAILS[404])
        case PermissionDenied():
            return Forbidden()
        case RequestDataTooBig():
            max_mb = settings.DATA_UPLOAD_MAX_MEMORY_SIZE / BYTES_PER_MB
            return RequestTooLarge(f"The request body is too large: at most {max_mb:g} MB.")
        case UnreadablePostError():
            return RequestTimeout(DETAILS[408])
        case SuspiciousOperation():  # for example thousands of parameters
            return ParseError()
        case IntegrityError():
            return db_errors.as_api_exception(exc)
        case OperationalError() | InterfaceError():
            log.error("database_unavailable", error=redacted_message(exc))
            return ServiceUnavailable()
    return None


def _error_document(error: APIException) -> dict[str, Any]:
    if isinstance(error, ValidationError):
        errors = list(_field_errors(error.get_full_details()))
        detail = " ".join(_error_sentence(entry) for entry in errors[:MAX_ERRORS_IN_DETAIL])
        return problem(error.status_code, detail=detail, code="validation_error", errors=errors)
    code = error.get_codes()
    return problem(
        error.status_code,
        detail=shorten_message(str(error.detail)),
        code=code if isinstance(code, str) else error.default_code,
    )


def _error_sentence(entry: dict[str, str]) -> str:
    if entry["field"] == "non_field_errors":
        return entry["message"]
    return f"{entry['field']}: {entry['message']}"


def _field_errors(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Flatten DRF's nested details; the name of a nested field is dotted (`texts.3`)."""
    if isinstance(details, dict) and "message" in details and "code" in details:
        field, message = path or "non_field_errors", shorten_message(details["message"])
        yield {"field": field, "code": details["code"], "message": message}
    elif isinstance(details, dict):
        for name, inner in details.items():
            is_own = name == "non_field_errors" and path
            inner_path = path if is_own else f"{path}.{shorten(str(name))}".lstrip(".")
            yield from _field_errors(inner, inner_path)
    else:
        for index, inner in enumerate(details):
            leaf = not inner or "message" in inner
            yield from _field_errors(inner, path if leaf else f"{path}.{index}".lstrip("."))


def _error_headers(error: APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, ceil(wait)))
    return headers


def _uses_browsable_api(request: Request) -> bool:
    renderer = getattr(request, "accepted_renderer", None)
    return renderer is not None and renderer.format == "api"
