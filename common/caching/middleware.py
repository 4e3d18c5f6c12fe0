import hashlib
import re
import time
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import cast
from urllib.parse import parse_qsl, urlencode

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import resolve
from django.utils.module_loading import import_string

from common import metrics
from common.api.problems import wants_html
from common.caching import store
from common.caching.etags import etag_of, matches
from common.caching.store import BYPASS, Slot
from common.csp import ContentSecurityPolicyMiddleware
from common.middleware import ProblemDetailsMiddleware, canonicalize_path
from common.ratelimit.middleware import RateLimitHeadersMiddleware

GetResponse = Callable[[HttpRequest], HttpResponse]

PATIENCE = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05


class ByteCacheMiddleware:
    """Answers public reads with bytes that were rendered before.

    `BYTE_CACHE` says which routes belong to which namespace. Only JSON is kept: who asks for HTML
    gets a page of their own. What a view leaves in `response.cache_note` is kept beside the bytes,
    and the namespace's function in `BYTE_CACHE_HEADERS` makes headers of it that are true at the
    time of the answer.

    It stands in front of all that an answer for everybody does not need, which is nearly
    everything: sessions, cookies, users. A view that has to compute is called past all that too,
    and every answer gets the security and CORS headers of the middlewares that it overtakes.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.routes = [
            (re.compile(_pattern(route)), route, namespace)
            for route, namespace in settings.BYTE_CACHE.items()
        ]
        self.headers_of = {
            namespace: import_string(name)
            for namespace, name in settings.BYTE_CACHE_HEADERS.items()
        }
        self.cors = CorsMiddleware(get_response)
        viewed = cast(GetResponse, convert_exception_to_response(self._viewed))
        self.problems = ProblemDetailsMiddleware(viewed)
        self.compute = RateLimitHeadersMiddleware(self.problems)
        self.headers = _security_headers() | {"Vary": "Accept, origin"}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = canonicalize_path(request.path_info)
        found = self._route(request, path)
        if found is None:
            return self.get_response(request)
        route, namespace = found
        request.path_info = request.path = path
        request.cached_route = route  # type: ignore[attr-defined]
        slot = wait_for(namespace, key_of(path, request.META.get("QUERY_STRING", "")))
        if slot.copy is not None:
            how, response = "hit", self._copied(namespace, slot.copy)
        else:
            how = "miss" if slot.mine else "bypass"
            response = self._computed(request, slot)
        metrics.cache_asked(namespace, how)
        if "HTTP_ORIGIN" in request.META:
            self.cors.add_response_headers(request, response)
        if response.status_code == 200:
            response["X-Cache"] = how
            validate(request, response)
        if response.status_code != 304:
            response["Content-Length"] = str(len(response.content))
        return response

    def _route(self, request: HttpRequest, path: str) -> tuple[str, str] | None:
        if request.method not in ("GET", "HEAD"):
            return None
        for pattern, route, namespace in self.routes:
            if pattern.fullmatch(path):
                return None if wants_html(request) else (route, namespace)
        return None

    def _copied(self, namespace: str, copy: bytes) -> HttpResponse:
        head, _, body = copy.partition(b"\n")
        etag, _, note = head.decode().partition(" ")
        headers = self.headers | {"ETag": etag}
        if note:
            headers |= self.headers_of[namespace](note)
        return HttpResponse(body, "application/json", headers=headers)

    def _computed(self, request: HttpRequest, slot: Slot) -> HttpResponse:
        copy = None
        try:
            response = self.compute(request)
            if response.status_code == 200:
                response["ETag"] = etag_of(response.content)
                note = getattr(response, "cache_note", "")
                copy = f"{response['ETag']} {note}\n".encode() + response.content
        finally:
            if slot.mine:
                store.write(slot, copy)
        for name, value in self.headers.items():
            response[name] = value
        return response

    def _viewed(self, request: HttpRequest) -> HttpResponse:
        """The view's own answer, as Django's handler would have it."""
        match = request.resolver_match = resolve(request.path_info)
        try:
            response = match.func(request, *match.args, **match.kwargs)
            return response.render() if hasattr(response, "render") else response
        except Exception as error:
            if answer := self.problems.process_exception(request, error):
                return answer
            raise


def wait_for(namespace: str, key: str) -> Slot:
    """The copy, or leave to compute it; waits a while for another who computes it already."""
    slot = store.read(namespace, key)
    deadline, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
    while slot.copy is None and not slot.mine and slot is not BYPASS:
        if time.monotonic() > deadline:
            break
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
        slot = store.read(namespace, key)
    return slot


@lru_cache(maxsize=4096)
def key_of(path: str, query: str) -> str:
    """One key for all spellings of a request: the path and its parameters, in order of their names.

    The order of one name's values matters: the last is the one that counts.
    """
    if not query:
        return path
    # As Django reads it: WSGI gives the bytes of the address as if they were Latin-1.
    sent = query.encode("latin-1", "replace").decode(errors="replace")
    parameters = sorted(parse_qsl(sent, keep_blank_values=True), key=itemgetter(0))
    text = f"{path}?{urlencode(parameters)}"
    return text if len(text) <= 200 else hashlib.sha256(text.encode()).hexdigest()


def validate(request: HttpRequest, response: HttpResponse) -> None:
    """Empty the answer to a 304 where the client has these bytes already."""
    known = request.META.get("HTTP_IF_NONE_MATCH")
    if known and matches(known, response["ETag"], weakly=True):
        response.status_code = 304
        response.content = b""
        del response["Content-Type"]
    # Copies may be kept by anyone who asks each time whether they still hold.
    response["Cache-Control"] = "no-cache"


def _pattern(route: str) -> str:
    return route.replace("<uuid:pk>", "[0-9a-f-]{36}").replace("<int:pk>", "[0-9]{1,19}")


def _security_headers() -> dict[str, str]:
    """What the middlewares that are overtaken would put on an answer that they see."""
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
