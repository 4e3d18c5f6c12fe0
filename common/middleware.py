import re
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render
from structlog.contextvars import bind_contextvars, clear_contextvars

from common.api.exceptions import ResponseTooLarge, ServiceUnavailable
from common.api.problems import CONTENT_TYPE, problem_response, wants_html
from common.api.request_body import SIGN_IN_MAX_BODY_BYTES, parse_content_length
from common.api.text import shorten
from common.events.context import client_of_events
from common.ids import uuid7
from common.metrics.http_requests import record_http_request
from common.ratelimit.addresses import client_address, is_from_trusted_proxy
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

FORWARDED_HEADERS = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)
UUID_SEGMENT = re.compile(
    r"(?<=/)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=/|$)", re.IGNORECASE
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
        with client_of_events(
            read_address=lambda: client_address(request),
            read_user=lambda: getattr(request, "user", None),
        ):
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


class AllowedHostMiddleware:
    """Refuses a `Host` that is not in `ALLOWED_HOSTS`, except for probes, which use an address.

    It replaces Django's `CommonMiddleware`, which checks the host after cached responses and static
    files were served. `CanonicalPathMiddleware` takes care of slashes.
    """

    EXCLUDED_PATHS = ("/health", "/api/v1/health", "/ready")

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not (_has_allowed_host(request) or self._is_excluded(request)):
            detail = "The Host header names no host of this installation."
            return problem_response(400, detail=detail, code="unknown_host")
        response = self.get_response(request)
        if not response.streaming and "Content-Length" not in response:
            response["Content-Length"] = str(len(response.content))
        return response

    def _is_excluded(self, request: HttpRequest) -> bool:
        return canonicalize_path(request.path_info) in self.EXCLUDED_PATHS


def _has_allowed_host(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


class CharsetMiddleware:
    """Refuses a `Content-Type` whose charset is not UTF-8.

    Django would decode the query and the body by any codec of Python, such as `utf-7` or `zip`.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        charset = request.encoding
        if charset and charset.lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
            detail = f"The charset {shorten(charset)!r} is not supported; send UTF-8."
            return problem_response(415, detail=detail, code="unsupported_media_type")
        return self.get_response(request)


class AnonymousFormMiddleware:
    """Refuses large forms without a sign-in, before `CsrfViewMiddleware` parses their token.

    Views without that check, like those of the API, have limits of their own.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponse | None:
        if (
            getattr(view, "csrf_exempt", False)
            or parse_content_length(request) <= SIGN_IN_MAX_BODY_BYTES
            or request.user.is_authenticated
        ):
            return None
        detail = f"The request body is too large: at most {SIGN_IN_MAX_BODY_BYTES:,} bytes."
        return problem_response(413, detail=detail)


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
            case ResponseTooLarge():  # raised while the response was rendered
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
    """Accepts every spelling of a route's path; see `canonicalize_path`.

    The path is rewritten before it is resolved, because a redirect would lose the body of a POST.
    The pages of the Django admin and static files are excluded.
    """

    EXCLUDED_PREFIXES = ("/admin/", "/static/")

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path == "/admin":
            request.path_info = request.path = "/admin/"
        elif not path.startswith(self.EXCLUDED_PREFIXES):
            request.path_info = request.path = canonicalize_path(path)
        return self.get_response(request)


def canonicalize_path(path: str) -> str:
    """Return the versioned path without a trailing slash: `/api/users/` → `/api/v1/users`.

    Letters in ids become small ones, as the API writes ids.
    """
    if path == "/api":
        return "/api/v1"
    if path.startswith("/api/") and path != "/api/v1" and not path.startswith("/api/v1/"):
        path = "/api/v1/" + path.removeprefix("/api/")
    if not path.islower():
        path = UUID_SEGMENT.sub(lambda match: match[0].lower(), path)
    return path.removesuffix("/") or "/"
