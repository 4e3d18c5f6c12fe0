"""Every error as RFC 9457 `application/problem+json`."""

from collections.abc import Iterator
from http import HTTPStatus
from math import ceil
from typing import Any

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
from common.api.exceptions import ServiceUnavailable, TooLarge
from common.api.request_body import discard
from common.logs import current_request_id
from common.ratelimit.throttles import early_refusal
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
MEGABYTE = 1024 * 1024
CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    500: "internal_error",
    503: "service_unavailable",
}
DETAILS = {
    404: "There is nothing at this address, or nothing that you may see.",
    500: "Something went wrong on our side. The request id helps to find it.",
    503: "A part that this needs is away at the moment. Try again soon.",
}


def problem(
    status_code: int, *, detail: str = "", code: str = "", errors: list[dict] | None = None
) -> dict[str, Any]:
    """The members of a problem document; `errors` has `field`, `code` and `message` each."""
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
    """The problem as a response of plain Django's."""
    document = problem(status_code, **members)
    return JsonResponse(document, status=status_code, content_type=CONTENT_TYPE)


def wants_html(request: HttpRequest) -> bool:
    """Whether the client names HTML and likes it better than JSON, as browsers do."""
    if "html" not in request.META.get("HTTP_ACCEPT", ""):
        return False
    return request.get_preferred_type(["application/json", "text/html"]) == "text/html"


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's exceptions as problems; what is unknown goes on to Django and its log."""
    error = _as_api_exception(exc)
    if error is None:
        return None
    if isinstance(exc, RequestDataTooBig):
        discard(context["request"]._request)
    error = early_refusal(error, context)
    set_rollback()
    document, headers = _document(error), _headers(error)
    if _browsable(context["request"]):
        return Response(document, status=error.status_code, headers=headers, exception=True)
    # Not by the view's own renderer, which may know no JSON: the docs' pages, for instance.
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
            most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE / MEGABYTE
            return TooLarge(f"The body is larger than this API takes: at most {most:g} MB.")
        case UnreadablePostError():
            return ServiceUnavailable("The body did not come, or too many are awaited. Try again.")
        case SuspiciousOperation():  # such as thousands of parameters
            return ParseError()
        case IntegrityError():
            return db_errors.as_api_exception(exc)
        case OperationalError() | InterfaceError():
            log.error("database_away", error=redacted_message(exc))
            return ServiceUnavailable()
    return None


def _document(error: APIException) -> dict[str, Any]:
    if isinstance(error, ValidationError):
        errors = list(_field_errors(error.get_full_details()))
        detail = " ".join(_sentence(entry) for entry in errors[:5])
        return problem(error.status_code, detail=detail, code="validation_error", errors=errors)
    code = error.get_codes()
    return problem(
        error.status_code,
        detail=str(error.detail),
        code=code if isinstance(code, str) else error.default_code,
    )


def _sentence(entry: dict[str, str]) -> str:
    if entry["field"] == "non_field_errors":
        return entry["message"]
    return f"{entry['field']}: {entry['message']}"


def _field_errors(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Flatten DRF's nested details; a nested field's name is dotted (`texts.3`)."""
    if isinstance(details, dict) and "message" in details and "code" in details:
        field = path or "non_field_errors"
        yield {"field": field, "code": details["code"], "message": details["message"]}
    elif isinstance(details, dict):
        for name, inner in details.items():
            own = path if name == "non_field_errors" and path else f"{path}.{name}".lstrip(".")
            yield from _field_errors(inner, own)
    else:
        for index, inner in enumerate(details):
            leaf = not inner or "message" in inner
            yield from _field_errors(inner, path if leaf else f"{path}.{index}".lstrip("."))


def _headers(error: APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, ceil(wait)))
    return headers


def _browsable(request: Request) -> bool:
    renderer = getattr(request, "accepted_renderer", None)
    return renderer is not None and renderer.format == "api"
