import hashlib
import re
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from common.api.problems import wants_html
from common.caching import store
from common.caching.etags import etag_of, matches
from common.caching.store import BYPASS, Slot

GetResponse = Callable[[HttpRequest], HttpResponse]

PATIENCE = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05


class ByteCacheMiddleware:
    """Answers public reads with bytes that were rendered before.

    `BYTE_CACHE` says which paths (a pattern) belong to which namespace. Only JSON is kept: who
    asks for HTML gets a page of their own. It stands in front of all that a copy does not need,
    such as sessions, authentication and throttles, and behind what every answer carries.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.routes = [(re.compile(p), name) for p, name in settings.BYTE_CACHE.items()]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        namespace = self._namespace(request)
        if namespace is None:
            return self.get_response(request)
        slot = wait_for(namespace, key_of(request))
        if slot.copy is not None:
            return answer(request, slot.copy, "hit")
        return self._computed(request, slot)

    def _namespace(self, request: HttpRequest) -> str | None:
        if request.method not in ("GET", "HEAD"):
            return None
        for pattern, namespace in self.routes:
            if pattern.fullmatch(request.path_info):
                return None if wants_html(request) else namespace
        return None

    def _computed(self, request: HttpRequest, slot: Slot) -> HttpResponse:
        copy = None
        try:
            response = self.get_response(request)
            is_copy = response.status_code == 200 and response["Content-Type"] == "application/json"
            copy = response.content if is_copy and not response.streaming else None
        finally:
            if slot.mine:
                store.write(slot, copy)
        if copy is None:
            return response
        fresh = answer(request, copy, "miss" if slot.mine else "bypass")
        for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"):
            if name in response:
                fresh[name] = response[name]
        return fresh


def wait_for(namespace: str, key: str) -> Slot:
    """The copy, or leave to compute it; waits a while for another who computes it already."""
    deadline, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
    while True:
        slot = store.read(namespace, key)
        if slot is BYPASS or slot.mine or slot.copy is not None or time.monotonic() > deadline:
            return slot
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def key_of(request: HttpRequest) -> str:
    """One key for all spellings of a request: the path and its parameters in order."""
    query = request.META.get("QUERY_STRING", "")
    if not query:
        return request.path_info
    parameters = sorted(parse_qsl(query, keep_blank_values=True))
    text = f"{request.path_info}?{urlencode(parameters)}"
    return text if len(text) <= 200 else hashlib.sha256(text.encode()).hexdigest()


def answer(request: HttpRequest, body: bytes, how: str) -> HttpResponse:
    """The bytes as a response, or 304 where the client has them already."""
    etag = etag_of(body)
    known = request.META.get("HTTP_IF_NONE_MATCH")
    if known and matches(known, etag, weakly=True):
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(body, content_type="application/json")
    response["ETag"] = etag
    # Copies may be kept by anyone who asks each time whether they still hold.
    response["Cache-Control"] = "no-cache"
    response["X-Cache"] = how
    response["Vary"] = "Accept"
    return response
