"""The client address behind trusted proxies."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import RequestFactory

from common.ratelimit.addresses import address_block, client_address


@pytest.fixture
def request_from() -> Callable[..., Any]:
    return lambda peer, forwarded=None: RequestFactory().get(
        "/", REMOTE_ADDR=peer, **({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})
    )


class TestClientAddress:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "expected"),
        [
            ("203.0.113.9", None, "203.0.113.9"),
            ("203.0.113.9", "1.2.3.4", "203.0.113.9"),  # not a trusted proxy
            ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "9.9.9.9, 1.2.3.4", "1.2.3.4"),  # the client can forge the left one
            ("10.0.0.1", "9.9.9.9,1.2.3.4,10.0.0.2 , 192.0.2.7", "1.2.3.4"),
            ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
            ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
            ("10.0.0.1", "[2001:DB8::1]", "2001:db8::1"),
            ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
            ("10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
            ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("10.0.0.1:4321", "1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", "1.2.3.4, unknown", "10.0.0.1"),
            ("10.0.0.1", "1.2.3.4, ", "10.0.0.1"),
            ("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "1.2.3.4\0", "10.0.0.1"),
            ("10.0.0.1", "]][[:%,1.2.3.4.5,٣.1.1.1", "10.0.0.1"),
            ("10.0.0.1", "," * 50_000, "10.0.0.1"),
            ("10.0.0.1", "10.0.0.1," * 10_000 + "10.0.0.1", "10.0.0.1"),
            ("", None, "127.0.0.1"),
            ("unix:", "1.2.3.4", "127.0.0.1"),
        ],
    )
    def test_trusted_proxies_are_skipped(
        self, settings: Any, request_from: Any, peer: str, forwarded: str | None, expected: str
    ) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.0/8", "192.0.2.7"]
        started = time.monotonic()
        assert client_address(request_from(peer, forwarded)) == expected
        assert time.monotonic() - started < 0.5

    def test_a_proxy_on_a_unix_socket_is_trusted_as_loopback(
        self, settings: Any, request_from: Any
    ) -> None:
        settings.TRUSTED_PROXIES = ["127.0.0.1"]
        assert client_address(request_from("", "1.2.3.4")) == "1.2.3.4"

    def test_a_missing_address_is_loopback(self) -> None:
        request = RequestFactory().get("/")
        del request.META["REMOTE_ADDR"]
        assert client_address(request) == "127.0.0.1"

    def test_limits_apply_to_an_ipv4_address_or_an_ipv6_network(self, request_from: Any) -> None:
        assert address_block(request_from("1.2.3.4")) == "1.2.3.4"
        assert address_block(request_from("2001:db8::1:2:3:4")) == "2001:db8::/64"
        assert address_block(request_from("::1")) == "::/64"
