import hashlib
import re
import time
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, cast
from urllib.parse import parse_qsl, urlencode

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import Resolver404, resolve
from django.utils.module_loading import import_string

from common.api.problems import wants_html
from common.api.query_parameters import get_accepted_parameters
from common.caching import store
from common.caching.etags import etag_of, matches
from common.caching.metrics import record_request
from common.caching.store import BYPASS, Lookup
from common.csp import ContentSecurityPolicyMiddleware
from common.middleware import ProblemDetailsMiddleware, canonicalize_path
from common.ratelimit.middleware import RateLimitHeadersMiddleware

GetResponse = Callable[[HttpRequest], HttpResponse]

MAX_WAIT_S = 3.0
MIN_POLL_INTERVAL_S, MAX_POLL_INTERVAL_S = 0.002, 0.05
MAX_KEY_CHARS = 200
MAX_REMEMBERED_QUERY_CHARS = 200


class ByteCacheMiddleware:
    """Answers public GET requests with cached bytes.

    `BYTE_CACHE` maps routes to namespaces. Only JSON is cached; a request for HTML passes through.
    A view may set `response.cache_metadata`, a string that is stored with the bytes. On each hit
    the namespace's function in `BYTE_CACHE_HEADERS` computes headers from it, such as `Age`. With
    `response.is_cacheable = False` the response is not stored.

    Hit or miss, the middlewares after this one (sessions, users and so on) are skipped, because
    public responses do not need them. Their security and CORS headers are added here.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.routes = [
            (re.compile(_route_regex(route)), route, namespace)
            for route, namespace in settings.BYTE_CACHE.items()
        ]
        # The accepted query parameters by route, filled by the first requests.
        self.parameters: dict[str, set[str]] = {}
        self.header_functions = {
            namespace: import_string(name)
            for namespace, name in settings.BYTE_CACHE_HEADERS.items()
        }
        self.cors = CorsMiddleware(get_response)
        call_view = cast(GetResponse, convert_exception_to_response(self._call_view))
        self.problems = ProblemDetailsMiddleware(call_view)
        self.view_chain = RateLimitHeadersMiddleware(self.problems)
        self.headers = _security_headers() | {"Vary": "Accept, origin"}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = canonicalize_path(request.path_info)
        match = self._match_route(request, path)
        if match is None:
            return self.get_response(request)
        route, namespace = match
        request.path_info = request.path = path
        request.cached_route = route  # type: ignore[attr-defined]
        query = request.META.get("QUERY_STRING", "")
        if query and not self._knows_parameters(route, path, query):
            lookup = BYPASS  # for the view to refuse
        else:
            lookup = look_up_or_wait(namespace, cache_key(path, query))
        if lookup.response is not None:
            result, response = "hit", self._cached_response(namespace, lookup.response)
        else:
            result = "miss" if lookup.has_lock else "bypass"
            response = self._compute_response(request, lookup)
        record_request(namespace, result)
        if "HTTP_ORIGIN" in request.META:
            self.cors.add_response_headers(request, response)
        if response.status_code == 200:
            response["X-Cache"] = result
            apply_if_none_match(request, response)
        if response.status_code != 304:
            response["Content-Length"] = str(len(response.content))
        return response

    def _match_route(self, request: HttpRequest, path: str) -> tuple[str, str] | None:
        if request.method not in ("GET", "HEAD"):
            return None
        for pattern, route, namespace in self.routes:
            if pattern.fullmatch(path):
                return None if wants_html(request) else (route, namespace)
        return None

    def _knows_parameters(self, route: str, path: str, query: str) -> bool:
        if route not in self.parameters:
            try:
                view = resolve(path).func
            except Resolver404:
                return False
            self.parameters[route] = get_accepted_parameters(view)
        return parse_query(query).names <= self.parameters[route]

    def _cached_response(self, namespace: str, stored: bytes) -> HttpResponse:
        head, _, body = stored.partition(b"\n")
        etag, _, metadata = head.decode().partition(" ")
        headers = self.headers | {"ETag": etag}
        if metadata:
            headers |= self.header_functions[namespace](metadata)
        return HttpResponse(body, "application/json", headers=headers)

    def _compute_response(self, request: HttpRequest, lookup: Lookup) -> HttpResponse:
        stored = None
        try:
            response = self.view_chain(request)
            if response.status_code == 200:
                response["ETag"] = etag_of(response.content)
            if response.status_code == 200 and getattr(response, "is_cacheable", True):
                metadata = getattr(response, "cache_metadata", "")
                stored = f"{response['ETag']} {metadata}\n".encode() + response.content
        finally:
            if lookup.has_lock:
                store.store_response(lookup, stored)
        for name, value in self.headers.items():
            response[name] = value
        return response

    def _call_view(self, request: HttpRequest) -> HttpResponse:
        """Call the view as Django's request handler does."""
        match = request.resolver_match = resolve(request.path_info)
        try:
            response = match.func(request, *match.args, **match.kwargs)
            return response.render() if hasattr(response, "render") else response
        except Exception as error:
            if response := self.problems.process_exception(request, error):
                return response
            raise


def look_up_or_wait(namespace: str, key: str) -> Lookup:
    """Look up a response; if another caller computes it, wait for a few seconds."""
    lookup = store.look_up(namespace, key)
    deadline, interval = time.monotonic() + MAX_WAIT_S, MIN_POLL_INTERVAL_S
    while lookup.response is None and not lookup.has_lock and lookup is not BYPASS:
        if time.monotonic() > deadline:
            break
        time.sleep(interval)
        interval = min(interval * 2, MAX_POLL_INTERVAL_S)
        lookup = store.look_up(namespace, key)
    return lookup


def cache_key(path: str, query: str) -> str:
    """Return the same key for all spellings of a request: its path and sorted parameters."""
    if not query:
        return path
    key = f"{path}?{parse_query(query).canonical}"
    return key if len(key) <= MAX_KEY_CHARS else hashlib.sha256(key.encode()).hexdigest()


class Query(NamedTuple):
    """The names of a query's parameters, and the same text for all its spellings."""

    names: frozenset[str]
    canonical: str


def parse_query(query: str) -> Query:
    """Parse a query; the results of short ones are remembered."""
    parse = _parse_short_query if len(query) <= MAX_REMEMBERED_QUERY_CHARS else _parse_query
    return parse(query)


def _parse_query(query: str) -> Query:
    # Decoded as Django does: WSGI presents the bytes of the URL as Latin-1.
    decoded = query.encode("latin-1", "replace").decode(errors="replace")
    # Values of the same parameter keep their order.
    parameters = sorted(parse_qsl(decoded, keep_blank_values=True), key=itemgetter(0))
    return Query(frozenset(name for name, _ in parameters), urlencode(parameters))


_parse_short_query = lru_cache(maxsize=4096)(_parse_query)


def apply_if_none_match(request: HttpRequest, response: HttpResponse) -> None:
    """Turn the response into an empty 304 if the client already has these bytes."""
    header = request.META.get("HTTP_IF_NONE_MATCH")
    if header and matches(header, response["ETag"]):
        response.status_code = 304
        response.content = b""
        del response["Content-Type"]
    # Clients may store the response but have to revalidate it before each use.
    response["Cache-Control"] = "no-cache"


def _route_regex(route: str) -> str:
    return route.replace("<uuid:pk>", "[0-9a-f-]{36}").replace("<int:pk>", "[0-9]{1,19}")


def _security_headers() -> dict[str, str]:
    """Return the headers that the skipped middlewares add to every response."""
    blank, request = HttpResponse(), HttpRequest()
    del blank["Content-Type"]
    request.is_secure = lambda: not settings.DEBUG  # type: ignore[method-assign]
    for middleware in (
        SecurityMiddleware,
        ContentSecurityPolicyMiddleware,
        XFrameOptionsMiddleware,
    ):
        middleware(lambda _: HttpResponse()).process_response(request, blank)
    return dict(blank.items())
