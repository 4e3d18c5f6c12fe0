import re
import time
from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, clear_contextvars

from common.api.problems import CONTENT_TYPE, problem_response, wants_html
from common.ids import uuid7
from common.metrics.http_requests import record_http_request
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestLogMiddleware:
    """Gives each request an id, the client's own where that is well-formed, and one log line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else str(uuid7())
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
    """Who uses the admin site; a token's user is bound where the token is read."""
    user = getattr(request, "_cached_user", None)  # looked for by nobody: nobody was needed
    if user is None or not user.is_authenticated:
        return {}
    return {"user": str(user.pk), "company": str(user.company_id)}


def _route(request: HttpRequest) -> str | None:
    """The template of the address, never the address itself, which may hold secrets."""
    if match := request.resolver_match:
        return f"/{match.route}"
    if request.path_info.startswith("/static/"):
        return "/static/"
    return getattr(request, "cached_route", None)


class ProblemDetailsMiddleware:
    """Turns what is still an error page into a problem document, unless HTML was asked for."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or _is_problem(response) or wants_html(request):
            return response
        answer = problem_response(response.status_code)
        if "Allow" in response:
            answer["Allow"] = response["Allow"]
        return answer

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OperationalError | InterfaceError):
            log.error("database_away", error=redacted_message(error))
            response = problem_response(503)
            response["Retry-After"] = "2"
            return response
        return None


def _is_problem(response: HttpResponse) -> bool:
    return response.get("Content-Type", "").startswith((CONTENT_TYPE, "application/json"))


class CanonicalPathMiddleware:
    """Reads every route with or without a trailing slash, and `/api/…` as `/api/v1/…`.

    A redirect would lose the body of a POST, so the path is rewritten before it is resolved.
    The Django admin and its static files keep their own addresses.
    """

    own_rules = ("/admin/", "/static/")

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not path.startswith(self.own_rules):
            request.path_info = request.path = canonical(path)
        return self.get_response(request)


def canonical(path: str) -> str:
    """`/api/notes/` → `/api/v1/notes`."""
    if path == "/api":
        return "/api/v1"
    if path.startswith("/api/") and path != "/api/v1" and not path.startswith("/api/v1/"):
        path = "/api/v1/" + path.removeprefix("/api/")
    return path.removesuffix("/") or "/"
