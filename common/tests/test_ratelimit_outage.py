"""Rate limits while Redis is unavailable."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django_redis import get_redis_connection
from rest_framework.test import APIClient

from common.ratelimit import circuit_breaker
from common.ratelimit.limiter import RateLimiter
from common.ratelimit.rates import Rate
from common.ratelimit.windows import Window
from common.tests.support.throttled_views import LoginView, PublicView

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("limiter")]


def window() -> Window:
    return Window("bureau:limit:test:outage", Rate(1, 60))


def is_allowed(limiter: RateLimiter) -> bool:
    decision = limiter.count_request([window()])
    return decision is not None and decision.allowed


def statuses(responses: Any) -> list[int]:
    return [response.status_code for response in responses]


@pytest.fixture
def cache_on_port(settings: Any) -> Callable[[int], None]:
    """Point the cache, with all its options, to a port of this machine."""

    def configure(port: int) -> None:
        location = {"LOCATION": f"redis://127.0.0.1:{port}/0"}
        settings.CACHES = {"default": settings.CACHES["default"] | location}

    return configure


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestRedisOutage:
    def test_requests_are_limited_in_the_process(
        self,
        api: APIClient,
        route: Any,
        settings: Any,
        cache_on_port: Any,
        closed_port: int,
        caplog: Any,
    ) -> None:
        settings.API_RATE_LIMIT = "3/minute"
        cache_on_port(closed_port)
        url, started = route("public", PublicView.as_view()), time.monotonic()
        responses = [api.get(url) for _ in range(20)]
        assert time.monotonic() - started < 1
        assert statuses(responses) == [200] * 3 + [429] * 17
        assert [response["RateLimit-Remaining"] for response in responses[:4]] == [*"2100"]
        events = [record.getMessage() for record in caplog.records]
        assert sum("rate_limit_store_unavailable" in event for event in events) == 1

    def test_logins_are_limited_in_the_process(
        self, api: APIClient, route: Any, cache_on_port: Any, closed_port: int
    ) -> None:
        cache_on_port(closed_port)
        url = route("login", LoginView.as_view())
        responses = [api.post(url, {"name": "a", "password": "correct"}) for _ in range(6)]
        assert statuses(responses) == [200] * 5 + [429]
        assert 58 <= int(responses[-1]["Retry-After"]) <= 60
        assert responses[-1]["RateLimit-Limit"] == "5"

    def test_a_server_that_does_not_answer_costs_one_timeout(
        self, limiter: RateLimiter, cache_on_port: Any, silent_port: int
    ) -> None:
        cache_on_port(silent_port)
        started = time.monotonic()
        assert is_allowed(limiter)
        assert 0.5 < time.monotonic() - started < 1.5
        started = time.monotonic()
        assert not any(is_allowed(limiter) for _ in range(100))
        assert time.monotonic() - started < 0.1

    def test_one_request_finds_out_that_redis_is_back(
        self, caplog: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(circuit_breaker, "RETRY_INTERVAL_S", 0.3)
        calls: list[float] = []
        redis_is_up = Event()

        def connect() -> Any:
            calls.append(time.monotonic())
            if redis_is_up.is_set():
                return get_redis_connection()
            time.sleep(0.05)
            raise ConnectionError

        limiter = RateLimiter(connect)
        limiter.count_request([window()])
        assert len(calls) == 1
        time.sleep(0.35)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: limiter.count_request([window()]), range(8)))
        assert len(calls) == 2
        redis_is_up.set()
        time.sleep(0.35)
        assert [is_allowed(limiter) for _ in "ab"] == [True, False]
        events = [record.getMessage() for record in caplog.records]
        assert [
            sum(f"rate_limit_store_{state}" in event for event in events)
            for state in ("unavailable", "available")
        ] == [1, 1]
