"""Counting requests in sliding windows, in Redis and in the process."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django_redis import get_redis_connection
from redis import Redis

from common.ratelimit.limiter import RateLimiter
from common.ratelimit.local_counter import LocalCounter
from common.ratelimit.rates import Rate
from common.ratelimit.windows import RateLimitDecision, Window, WindowState

pytestmark = pytest.mark.slow


def window(key: str, limit: int, seconds: int = 60, **other_keys: str) -> Window:
    return Window(f"bureau:limit:test:{key}", Rate(limit, seconds), **other_keys)


def count_request(limiter: RateLimiter, *windows: Window) -> RateLimitDecision:
    decision = limiter.count_request(windows)
    assert decision is not None
    return decision


class CounterTests:
    """The behaviour that Redis and the local counter share."""

    @pytest.fixture
    def count(self, limiter: RateLimiter) -> Callable[..., RateLimitDecision]:
        return lambda *windows: count_request(limiter, *windows)

    @pytest.fixture
    def uncount(self, limiter: RateLimiter) -> Callable[[RateLimitDecision], None]:
        return limiter.uncount_request

    def test_requests_over_the_limit_are_refused(self, count: Any) -> None:
        decisions = [count(window("a", 3)) for _ in range(5)]
        assert [decision.allowed for decision in decisions] == [True] * 3 + [False] * 2
        assert [decision.headers["RateLimit-Remaining"] for decision in decisions] == [*"21000"]
        assert {decision.headers["RateLimit-Limit"] for decision in decisions} == {"3"}

    def test_parallel_requests_are_counted_exactly(self, count: Any) -> None:
        windows = window("minute", 10), window("hour", 50, 3600)
        with ThreadPoolExecutor(100) as threads:
            decisions = list(threads.map(lambda _: count(*windows), range(200)))
        assert sum(decision.allowed for decision in decisions) == 10

    def test_a_refused_request_is_counted_in_no_window(self, count: Any) -> None:
        wide, narrow = window("wide", 5), window("narrow", 1)
        assert count(wide, narrow).allowed
        assert not any(count(wide, narrow).allowed or count(narrow, wide).allowed for _ in "abc")
        assert count(wide).headers["RateLimit-Remaining"] == "3"

    def test_an_uncounted_request_frees_its_place_in_every_window(
        self, count: Any, uncount: Any
    ) -> None:
        windows = window("a", 2), window("b", 3, seen_key="bureau:limit:test:seen")
        first, second = count(*windows), count(*windows)
        uncount(second)
        assert count(*windows).allowed
        assert not count(*windows).allowed
        uncount(first)
        assert count(*windows).allowed
        # The first request was the only one that the window of distinct clients counted.
        assert count(window("b", 3)).headers["RateLimit-Remaining"] == "1"

    def test_a_request_is_allowed_exactly_after_retry_after(self, count: Any) -> None:
        second = window("a", 2, 1)
        assert count(second).allowed
        time.sleep(0.4)
        assert count(second).allowed
        refused = count(second)
        due = time.monotonic() + refused.strictest.reset_after_us / 1e6
        assert (refused.allowed, refused.retry_after) == (False, 1)
        assert refused.headers["RateLimit-Reset"] == "1"
        time.sleep(due - 0.2 - time.monotonic())
        assert not count(second).allowed
        time.sleep(due + 0.01 - time.monotonic())
        # The first request has left the window, the second has not.
        assert [count(second).allowed for _ in "ab"] == [True, False]

    def test_headers_describe_the_strictest_window(self, count: Any) -> None:
        short, long = window("s", 3, 10), window("l", 4, 100)
        assert count(short, long).headers == {
            "RateLimit-Limit": "3",
            "RateLimit-Remaining": "2",
            "RateLimit-Reset": "10",
            "RateLimit-Policy": "3;w=10, 4;w=100",
        }
        count(long), count(long), count(long)
        refused = count(short, long)
        assert refused.headers["RateLimit-Limit"] == "4"
        assert 99 <= refused.retry_after <= 100

    def test_a_lowered_limit_applies_at_once(self, count: Any) -> None:
        for _ in range(4):
            count(window("a", 9))
        lowered = count(window("a", 2))
        assert (lowered.allowed, lowered.headers["RateLimit-Remaining"]) == (False, "0")

    def test_a_seen_key_lets_later_requests_pass(self, count: Any) -> None:
        def is_allowed(name: str) -> bool:
            return count(window(name, 9), window("all", 2, seen_key=f"bureau:limit:{name}")).allowed

        assert [is_allowed(name) for name in "abacab"] == [True, True, True, False, True, True]


@pytest.mark.parametrize(("microseconds", "seconds"), [(1, 1), (1_000_000, 1), (1_000_001, 2)])
def test_seconds_are_rounded_up(microseconds: int, seconds: int) -> None:
    assert WindowState(window("a", 1), 1, microseconds).reset_after_s == seconds


class TestRedisCounter(CounterTests):
    def test_every_key_expires(self, limiter: RateLimiter) -> None:
        count_request(
            limiter, window("a", 9), window("b", 9, 3600, seen_key="bureau:limit:test:seen")
        )
        limiter.set_exempt_key("bureau:limit:test:exempt", ttl_s=50)
        redis = get_redis_connection()
        keys = {key.decode().rpartition(":")[2]: redis.ttl(key) for key in redis.keys("*limit*")}
        assert set(keys) == {"a", "b", "seen", "exempt"}
        assert 0 < keys["a"] <= 60 < keys["b"] <= 3600
        assert 0 < keys["exempt"] <= 50

    def test_the_script_is_sent_again_after_a_flush(self, limiter: RateLimiter) -> None:
        get_redis_connection().script_flush()
        assert [count_request(limiter, window("a", 2)).allowed for _ in range(3)] == [
            True,
            True,
            False,
        ]

    def test_all_windows_take_one_round_trip(self) -> None:
        redis, sent = Redis(connection_pool=get_redis_connection().connection_pool), []
        send = redis.execute_command
        redis.execute_command = lambda *args, **kw: sent.append(args[0]) or send(*args, **kw)
        limiter = RateLimiter(lambda: redis)
        count_request(limiter, window("a", 9))
        sent.clear()
        count_request(limiter, window("a", 9), window("b", 9), window("c", 9, exempt_key="m"))
        assert sent == ["EVALSHA"]

    @pytest.mark.parametrize("expired", [0, 1, 2, 7, 8, 9])
    def test_expired_requests_are_removed(self, limiter: RateLimiter, expired: int) -> None:
        redis, hour = get_redis_connection(), window("a", 20, 3600)
        seconds, micros = redis.time()
        window_start = (seconds - 3600) * 1_000_000 + micros
        ages = [*range(1, expired + 1), *range(-60_000_000, -60_000_009 + expired, -1)]
        redis.lpush(hour.key, *[window_start - age for age in ages])
        decision = count_request(limiter, hour)
        assert decision.strictest.count == redis.llen(hour.key) == 9 - expired + 1
        assert decision.strictest.reset_after_s in ((3600,) if expired == 9 else (60,))

    def test_retry_after_counts_all_requests_over_a_lowered_limit(
        self, limiter: RateLimiter
    ) -> None:
        redis, minute = get_redis_connection(), window("a", 2)
        now_us = redis.time()[0] * 1_000_000
        redis.rpush(minute.key, *[now_us - age * 1_000_000 for age in (10, 20, 30, 40)])
        # Three of the four must expire; the last of them is 20 s old.
        assert 39 <= count_request(limiter, minute).retry_after <= 40

    def test_no_windows_mean_no_limit(self) -> None:
        assert RateLimiter(connect=lambda: pytest.fail("connected")).count_request([]) is None


class TestLocalCounter(CounterTests):
    @pytest.fixture
    def limiter(self) -> RateLimiter:
        def refuse_connection() -> Any:
            raise ConnectionError

        return RateLimiter(refuse_connection)

    def test_expired_keys_are_removed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counter, now = LocalCounter(), time.monotonic_ns()
        for number in range(100):
            counter.count_request([window(f"{number}", 1, seen_key=f"{number}")])
        monkeypatch.setattr(time, "monotonic_ns", lambda: now + 121 * 10**9)
        counter.count_request([window("a", 1)])
        assert len(counter._times) == len(counter._expiry) == 1
