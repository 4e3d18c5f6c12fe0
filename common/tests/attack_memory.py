"""A full Valkey: limits stay exact, and cached responses are never outdated."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django_redis import get_redis_connection
from redis import Redis
from rest_framework.test import APIClient

from accounts.models import User
from catalog.tests.factories import ProductFactory
from common.caching import slots, store
from common.caching.invalidation import invalidate_on_commit
from common.ratelimit.limiter import RateLimiter
from common.ratelimit.rates import Rate
from common.ratelimit.windows import Window
from config.local import LocalServices

NAMESPACE = "things"


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Valkey of these tests."""
    with LocalServices(tmp_path_factory.mktemp("valkey"), postgres=False) as services:
        yield f"unix://{services.redis_socket}?db=0"


@pytest.fixture(autouse=True)
def redis(location: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A client of that server, which all code uses."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    monkeypatch.setattr(store, "unavailable_until", 0.0)
    redis = get_redis_connection()
    redis.flushall()
    yield redis
    redis.config_set("maxmemory", 0)
    redis.connection_pool.disconnect()


@contextmanager
def full_memory(redis: Redis) -> Iterator[None]:
    """Let the server refuse commands that need memory."""
    redis.config_set("maxmemory", 1)
    yield
    redis.config_set("maxmemory", 0)


class TestLimits:
    def test_are_exact_while_the_memory_is_full(self, redis: Redis) -> None:
        windows = [Window("bureau:limit:all", Rate(3, 60), seen_key="seen", exempt_key="known")]
        processes = [RateLimiter(), RateLimiter()]
        with full_memory(redis):
            decisions = []
            for limiter in processes * 3:
                decisions.append(limiter.count_request(windows))
                redis.delete("seen")
        allowed = [decision and decision.allowed for decision in decisions]
        assert allowed == [True] * 3 + [False] * 3

    def test_are_exact_after_an_address_could_not_be_remembered(self, redis: Redis) -> None:
        limiter, windows = RateLimiter(), [Window("bureau:limit:all", Rate(2, 60))]
        with full_memory(redis):
            decisions = []
            for _ in range(3):
                limiter.set_exempt_key("bureau:limit:known", ttl_s=60)
                decisions.append(limiter.count_request(windows))
        assert [decision and decision.allowed for decision in decisions] == [True, True, False]
        assert redis.llen("bureau:limit:all") == 2
        assert redis.exists("bureau:limit:known") == 0

    def test_apply_to_requests(self, redis: Redis, api: APIClient, db: None, settings: Any) -> None:
        settings.AUTH_RATE_LIMIT = "3/minute"
        with full_memory(redis):
            statuses = [
                api.post("/api/v1/auth/login", {"username": f"u{n}", "password": "x"}).status_code
                for n in range(5)
            ]
        assert statuses == [401, 401, 401, 429, 429]


class TestCache:
    def test_a_write_invalidates_while_the_memory_is_full(
        self, redis: Redis, transactional_db: None
    ) -> None:
        store.store_response(store.look_up(NAMESPACE, "a"), b"old")
        with full_memory(redis):
            with invalidate_on_commit(NAMESPACE):
                assert store.look_up(NAMESPACE, "a") is store.BYPASS
            assert store.look_up(NAMESPACE, "a") is store.BYPASS
        assert store.look_up(NAMESPACE, "a").response is None

    def test_hits_are_served_while_the_memory_is_full(self, redis: Redis) -> None:
        store.store_response(store.look_up(NAMESPACE, "a"), b"1")
        lookup = store.look_up(NAMESPACE, "b")
        with full_memory(redis):
            assert store.look_up(NAMESPACE, "c") is store.BYPASS
            store.store_response(lookup, b"2")
            assert store.look_up(NAMESPACE, "a").response == b"1"

    def test_products_are_served_while_the_memory_is_full(
        self, redis: Redis, api: APIClient, transactional_db: None
    ) -> None:
        ProductFactory(name="Desk")
        with full_memory(redis):
            for _ in range(2):
                assert api.get("/api/v1/products").json()["items"][0]["name"] == "Desk"


class TestBound:
    def test_distinct_queries_stay_below_it(
        self, redis: Redis, api: APIClient, transactional_db: None, settings: Any
    ) -> None:
        settings.API_RATE_LIMIT, settings.BYTE_CACHE_MAX_BYTES = "off", 1_048_576
        ProductFactory.create_batch(2, name="Desk", description="x" * 2_000)
        slot_count = sum(slots.count_slots(n, 1_048_576) for n in slots.SLOT_SIZES_BYTES)
        api.get("/api/v1/products")
        before = redis.info("memory")["used_memory"]
        for number in range(1_000):
            name = "desk&min_price=0." if number % 4 == 0 else "x" * 100
            response = api.get(f"/api/v1/products?name={name}{number}")
            assert response["X-Cache"] == "miss"
        assert redis.info("memory")["used_memory"] - before < 1_048_576
        assert len(redis.keys("bureau:bytes:products:response:*")) <= slot_count

    def test_responses_stay_below_it(self, redis: Redis, settings: Any) -> None:
        settings.BYTE_CACHE_MAX_BYTES = 5 * 1_048_576
        before = redis.info("memory")["used_memory"]
        for number in range(1_000):
            size = (1_000, 7_000, 30_000, 120_000, 1_000_000)[number % 5]
            store.store_response(store.look_up(NAMESPACE, str(number)), b"x" * size)
        assert redis.info("memory")["used_memory"] - before < 1.1 * settings.BYTE_CACHE_MAX_BYTES

    def test_a_hot_response_is_served_again(self, settings: Any) -> None:
        settings.BYTE_CACHE_MAX_BYTES = 1  # one slot of each size
        for _ in range(2):
            store.store_response(store.look_up(NAMESPACE, "hot"), b"hot")
            assert store.look_up(NAMESPACE, "hot").response == b"hot"
            store.store_response(store.look_up(NAMESPACE, "other"), b"other")
            assert store.look_up(NAMESPACE, "hot").response is None

    def test_a_response_that_fits_no_slot_is_not_stored(self) -> None:
        lookup = store.look_up(NAMESPACE, "a")
        store.store_response(lookup, b"x" * (slots.SLOT_SIZES_BYTES[-1] + 1))
        assert store.look_up(NAMESPACE, "a").has_lock is True

    def test_a_response_may_change_its_size(self, settings: Any) -> None:
        for size in (10, 10_000, 10):
            store.invalidate(NAMESPACE)
            store.store_response(store.look_up(NAMESPACE, "a"), b"x" * size)
            assert store.look_up(NAMESPACE, "a").response == b"x" * size

    def test_unknown_parameters_take_no_memory(
        self, redis: Redis, api: APIClient, db: None, settings: Any
    ) -> None:
        settings.API_RATE_LIMIT = "off"
        api.get("/api/v1/products")
        before = set(redis.keys("bureau:bytes:*"))
        for number in range(50):
            response = api.get(f"/api/v1/products?x{number}=1")
            assert response.status_code == 400
            assert "X-Cache" not in response
        assert set(redis.keys("bureau:bytes:*")) == before

    def test_every_key_that_a_client_makes_expires(
        self, redis: Redis, as_user: Any, superuser: User, settings: Any
    ) -> None:
        client = as_user(superuser)
        client.get("/api/v1/products?name=a")
        client.post("/api/v1/auth/login", {"username": "nobody", "password": "x"})
        client.post("/api/v1/notes", {"raw_text": "A text."})
        client.get("/api/v1/products?page=501")
        lasting = {key.decode() for key in redis.scan_iter() if redis.ttl(key) == -1}
        assert lasting <= {"bureau:bytes:products:state"}
