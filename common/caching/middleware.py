import hashlib
import re
import time
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.module_loading import import_string

from common import metrics
from common.api.problems import wants_html
from common.caching import store
from common.caching.etags import etag_of, matches
from common.caching.store import BYPASS, Slot
from common.middleware import canonical
from common.security import BrowserPolicyMiddleware

GetResponse = Callable[[HttpRequest], HttpResponse]

PATIENCE = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05


class ByteCacheMiddleware:
    """Answers public reads with bytes that were rendered before.

    `BYTE_CACHE` says which routes belong to which namespace. Only JSON is kept: who asks for HTML
    gets a page of their own. What a view leaves in `response.cache_note` is kept beside the bytes,
    and the namespace's function in `BYTE_CACHE_HEADERS` makes headers of it that are true at the
    time of the answer. It stands in front of all that a copy does not need, which is nearly
    everything, and gives its answers the security and CORS headers of those that it overtakes.
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
        self.security_headers = _security_headers()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = canonical(request.path_info)
        found = self._route(request, path)
        if found is None:
            return self.get_response(request)
        route, namespace = found
        slot = wait_for(namespace, key_of(path, request.META.get("QUERY_STRING", "")))
        if slot.copy is None:
            metrics.cache_asked(namespace, "miss" if slot.mine else "bypass")
            return self._computed(request, slot)
        metrics.cache_asked(namespace, "hit")
        request.cached_route = route  # type: ignore[attr-defined]
        head, _, body = slot.copy.partition(b"\n")
        etag, _, note = head.decode().partition(" ")
        headers = self.security_headers
        if note:
            headers = headers | self.headers_of[namespace](note)
        response = HttpResponse(body, "application/json", headers=headers)
        response["Content-Length"] = str(len(body))
        response["Vary"] = "Accept, origin"
        if "HTTP_ORIGIN" in request.META:
            self.cors.add_response_headers(request, response)
        return validated(request, response, etag, "hit")

    def _route(self, request: HttpRequest, path: str) -> tuple[str, str] | None:
        if request.method not in ("GET", "HEAD"):
            return None
        for pattern, route, namespace in self.routes:
            if pattern.fullmatch(path):
                return None if wants_html(request) else (route, namespace)
        return None

    def _computed(self, request: HttpRequest, slot: Slot) -> HttpResponse:
        etag, copy = "", None
        try:
            response = self.get_response(request)
            if response.status_code == 200 and response["Content-Type"] == "application/json":
                etag = etag_of(response.content)
                note = getattr(response, "cache_note", "")
                copy = f"{etag} {note}\n".encode() + response.content
        finally:
            if slot.mine:
                store.write(slot, copy)
        if copy is None:
            return response
        return validated(request, response, etag, "miss" if slot.mine else "bypass")


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
    """One key for all spellings of a request: the path and its parameters in order."""
    if not query:
        return path
    parameters = sorted(parse_qsl(query, keep_blank_values=True))
    text = f"{path}?{urlencode(parameters)}"
    return text if len(text) <= 200 else hashlib.sha256(text.encode()).hexdigest()


def validated(request: HttpRequest, response: HttpResponse, etag: str, how: str) -> HttpResponse:
    """The answer with its validator, emptied to a 304 where the client has these bytes already."""
    known = request.META.get("HTTP_IF_NONE_MATCH")
    if known and matches(known, etag, weakly=True):
        response.status_code = 304
        response.content = b""
        del response["Content-Type"]
        del response["Content-Length"]
    response["ETag"] = etag
    # Copies may be kept by anyone who asks each time whether they still hold.
    response["Cache-Control"] = "no-cache"
    response["X-Cache"] = how
    return response


def _pattern(route: str) -> str:
    return route.replace("<uuid:pk>", "[0-9a-f-]{36}").replace("<int:pk>", "[0-9]{1,19}")


def _security_headers() -> dict[str, str]:
    """What the middlewares that are overtaken would put on an answer that they see."""
    blank, request = HttpResponse(), HttpRequest()
    del blank["Content-Type"]
    request.is_secure = lambda: not settings.DEBUG  # type: ignore[method-assign]
    for middleware in (SecurityMiddleware, BrowserPolicyMiddleware, XFrameOptionsMiddleware):
        middleware(lambda _: HttpResponse()).process_response(request, blank)
    return dict(blank.items())
