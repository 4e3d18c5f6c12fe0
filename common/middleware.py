import re
import time
from collections.abc import Callable

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render
from structlog.contextvars import bind_contextvars, clear_contextvars

from common.api.exceptions import AnswerTooLarge, ServiceUnavailable
from common.api.problems import CONTENT_TYPE, problem_response, wants_html
from common.ids import uuid7
from common.metrics.http_requests import record_http_request
from common.ratelimit.addresses import is_from_trusted_proxy
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

FORWARDED_HEADERS = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class ForwardedHeadersMiddleware:
    """Removes `X-Forwarded-*` from requests that no trusted proxy has sent."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_from_trusted_proxy(request):
            for name in FORWARDED_HEADERS:
                request.META.pop(name, None)
        return self.get_response(request)


class RequestLogMiddleware:
    """Gives each request an id and logs it in one line.

    The id is the client's `X-Request-ID` if that is well-formed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        client_id = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = client_id if REQUEST_ID.fullmatch(client_id) else str(uuid7())
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        seconds, route = time.perf_counter() - started, _route(request)
        record_http_request(route or "unmatched", request.method, response.status_code, seconds)
        log.info(
            "request",
            method=request.method,
            route=route,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
            **_session_user(request),
        )
        return response


def _session_user(request: HttpRequest) -> dict[str, str]:
    """Return the log fields of the admin's user; the token authentication binds its own."""
    # Unset if the view never read `request.user`; reading it here would cost a query.
    user = getattr(request, "_cached_user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"user": str(user.pk), "company": str(user.company_id)}


def _route(request: HttpRequest) -> str | None:
    """Return the URL pattern, not the path: a path can contain secrets."""
    if match := request.resolver_match:
        return f"/{match.route}"
    if request.path_info.startswith("/static/"):
        return "/static/"
    return getattr(request, "cached_route", None)


class ProblemDetailsMiddleware:
    """Converts the remaining error pages to problem documents, unless the client wants HTML."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or _is_problem(response) or wants_html(request):
            return response
        problem = problem_response(response.status_code)
        if "Allow" in response:
            problem["Allow"] = response["Allow"]
        return problem

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        match error:
            case OperationalError() | InterfaceError():
                log.error("database_unavailable", error=redacted_message(error))
                return _unavailable_response(request, ServiceUnavailable())
            case ServiceUnavailable():
                return _unavailable_response(request, error)
            case UnreadablePostError():
                return problem_response(408)
            case RequestDataTooBig():
                return problem_response(413)
            case AnswerTooLarge():  # raised while the response was rendered
                return problem_response(400, detail=str(error.detail), code=error.default_code)
        return None


def _unavailable_response(request: HttpRequest, error: ServiceUnavailable) -> HttpResponse:
    """Return a 503 as a page for people or as a problem document for programs."""
    response: HttpResponse
    if wants_html(request):
        response = render(request, "503.html", {"detail": error.detail}, status=503)
    else:
        response = problem_response(503, detail=str(error.detail), code=str(error.get_codes()))
    response["Retry-After"] = str(error.wait)
    return response


def _is_problem(response: HttpResponse) -> bool:
    return response.get("Content-Type", "").startswith((CONTENT_TYPE, "application/json"))


class CanonicalPathMiddleware:
    """Accepts every route with or without a trailing slash, and `/api/…` for `/api/v1/…`.

    The path is rewritten before it is resolved, because a redirect would lose the body of a POST.
    The Django admin and static files are excluded.
    """

    EXCLUDED_PREFIXES = ("/admin/", "/static/")

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not path.startswith(self.EXCLUDED_PREFIXES):
            request.path_info = request.path = canonicalize_path(path)
        return self.get_response(request)


def canonicalize_path(path: str) -> str:
    """Return the versioned path without a trailing slash: `/api/users/` → `/api/v1/users`."""
    if path == "/api":
        return "/api/v1"
    if path.startswith("/api/") and path != "/api/v1" and not path.startswith("/api/v1/"):
        path = "/api/v1/" + path.removeprefix("/api/")
    return path.removesuffix("/") or "/"
