"""`X-Forwarded-*` headers are used only when a trusted proxy has sent them."""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from common.middleware import ForwardedHeadersMiddleware

HEADERS: dict[str, Any] = {
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_FOR": "1.2.3.4",
    "HTTP_X_FORWARDED_HOST": "evil.example",
    "HTTP_X_FORWARDED_PORT": "8443",
}


@pytest.mark.parametrize(
    ("peer", "is_trusted"), [("10.0.0.1", True), ("192.0.2.9", False), ("::1", False)]
)
def test_only_a_trusted_proxy_forwards(settings: Any, peer: str, is_trusted: bool) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **HEADERS)
    ForwardedHeadersMiddleware(lambda _: HttpResponse())(request)
    assert request.is_secure() is is_trusted
    assert (HEADERS.keys() <= request.META.keys()) is is_trusted


def test_without_trusted_proxies_nobody_forwards() -> None:
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    ForwardedHeadersMiddleware(view)(RequestFactory().get("/", **HEADERS))
    assert not HEADERS.keys() & seen[0].META.keys()
