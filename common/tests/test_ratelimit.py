"""Rate limits: what is counted, for whom, what the answers say, and what holds without Redis."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django_redis import get_redis_connection
from redis import Redis
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from accounts.models import User
from common.ratelimit import throttles
from common.ratelimit.addresses import address_block, client_address
from common.ratelimit.limiter import PAUSE, Limiter
from common.ratelimit.local_counter import LocalCounter
from common.ratelimit.rates import Rate, halved, parse_rates, per
from common.ratelimit.throttles import (
    AuthThrottle,
    SummaryThrottle,
    count_try,
    given,
    remember_address,
)
from common.ratelimit.windows import Reading, Verdict, Window
from config.environment import load


@pytest.fixture(autouse=True)
def limiter(monkeypatch: pytest.MonkeyPatch) -> Limiter:
    """A limiter that has met no failure yet."""
    fresh = Limiter()
    monkeypatch.setattr(throttles, "limiter", fresh)
    return fresh


def window(key: str, limit: int, seconds: int = 60, **marks: str) -> Window:
    return Window(f"bureau:limit:test:{key}", Rate(limit, seconds), **marks)


def hit(limiter: Limiter, *windows: Window) -> Verdict:
    verdict = limiter.hit(windows)
    assert verdict is not None
    return verdict


class TestRates:
    def test_several_at_once(self) -> None:
        assert parse_rates("600/minute, 10000/HOUR") == (Rate(600, 60), Rate(10_000, 3600))
        assert parse_rates("1/second,2/day") == (Rate(1, 1), Rate(2, 86_400))

    def test_off(self) -> None:
        assert parse_rates(" Off ") == per("off", "hour") == ()

    @pytest.mark.parametrize(
        "text",
        [
            *("", "10", "10/", "/minute", "10/week", "10/m", "1/minute,", "off,1/day"),
            *("0/minute", "-1/minute", "1.5/minute", "٣/day", "100001/day", "999999999/day"),
            "1/minute,2/minute",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".+\.$"):
            parse_rates(text)

    def test_bare_numbers_and_halves(self) -> None:
        assert per(10, "minute") == per("10", "minute") == (Rate(10, 60),)
        assert halved((Rate(10, 60), Rate(1, 1))) == (Rate(5, 60), Rate(1, 1))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("API_RATE_LIMIT", "many"),
            ("AUTH_RATE_LIMIT", "10"),
            ("AUTH_ACCOUNT_RATE_LIMIT", "5/fortnight"),
            ("RATE_LIMIT_PER_MINUTE", "10/minute"),
            ("RATE_LIMIT_PER_HOUR", "0"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ],
    )
    def test_malformed_settings_stop_the_start(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit, match=f"- {name}: .+[.]$"):
            load()

    def test_off_in_the_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("API_RATE_LIMIT", "AUTH_RATE_LIMIT", "RATE_LIMIT_PER_HOUR"):
            monkeypatch.setenv(name, "off")
        env = load()
        assert env.api_rate_limit == env.auth_rate_limit == env.rate_limit_per_hour == "off"


class Both:
    """The rules that Redis and the local counter keep alike."""

    @pytest.fixture
    def count(self) -> Callable[..., Verdict]:
        raise NotImplementedError

    def test_never_more_than_the_limit(self, count: Any) -> None:
        verdicts = [count(window("a", 3)) for _ in range(5)]
        assert [verdict.allowed for verdict in verdicts] == [True] * 3 + [False] * 2
        assert [verdict.headers["RateLimit-Remaining"] for verdict in verdicts] == [*"21000"]
        assert {verdict.headers["RateLimit-Limit"] for verdict in verdicts} == {"3"}

    def test_parallel_tries(self, count: Any) -> None:
        windows = window("minute", 10), window("hour", 50, 3600)
        with ThreadPoolExecutor(100) as threads:
            verdicts = list(threads.map(lambda _: count(*windows), range(200)))
        assert sum(verdict.allowed for verdict in verdicts) == 10

    def test_all_windows_or_none(self, count: Any) -> None:
        wide, narrow = window("wide", 5), window("narrow", 1)
        assert count(wide, narrow).allowed
        assert not any(count(wide, narrow).allowed or count(narrow, wide).allowed for _ in "abc")
        assert count(wide).headers["RateLimit-Remaining"] == "3"

    def test_retry_after_is_true(self, count: Any) -> None:
        second = window("a", 2, 1)
        assert count(second).allowed
        time.sleep(0.4)
        assert count(second).allowed
        refused = count(second)
        due = time.monotonic() + refused.tightest.microseconds / 1e6
        assert (refused.allowed, refused.retry_after) == (False, 1)
        assert refused.headers["RateLimit-Reset"] == "1"
        time.sleep(due - 0.2 - time.monotonic())
        assert not count(second).allowed
        time.sleep(due + 0.01 - time.monotonic())
        # The first has left the window, the second not yet: no burst where two windows meet.
        assert [count(second).allowed for _ in "ab"] == [True, False]

    def test_the_tightest_window_speaks(self, count: Any) -> None:
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

    def test_a_limit_that_was_lowered(self, count: Any) -> None:
        for _ in range(4):
            count(window("a", 9))
        lowered = count(window("a", 2))
        assert (lowered.allowed, lowered.headers["RateLimit-Remaining"]) == (False, "0")

    def test_who_has_entered_is_let_by(self, count: Any) -> None:
        def enter(name: str) -> bool:
            return count(window(name, 9), window("all", 2, entry=f"bureau:limit:{name}")).allowed

        assert [enter(name) for name in "abacab"] == [True, True, True, False, True, True]


@pytest.mark.parametrize(("microseconds", "seconds"), [(1, 1), (1_000_000, 1), (1_000_001, 2)])
def test_seconds_are_rounded_up(microseconds: int, seconds: int) -> None:
    assert Reading(window("a", 1), 1, microseconds).seconds == seconds


class TestInRedis(Both):
    @pytest.fixture
    def count(self, limiter: Limiter) -> Callable[..., Verdict]:
        return lambda *windows: hit(limiter, *windows)

    def test_nothing_stays_for_ever(self, limiter: Limiter) -> None:
        hit(limiter, window("a", 9), window("b", 9, 3600, entry="bureau:limit:test:pass"))
        limiter.mark("bureau:limit:test:mark", seconds=50)
        redis = get_redis_connection()
        keys = {key.decode().rpartition(":")[2]: redis.ttl(key) for key in redis.keys("*limit*")}
        assert set(keys) == {"a", "b", "pass", "mark"}
        assert 0 < keys["a"] <= 60 < keys["b"] <= 3600
        assert 0 < keys["mark"] <= 50

    def test_a_server_that_forgot_the_script(self, limiter: Limiter) -> None:
        get_redis_connection().script_flush()
        assert [hit(limiter, window("a", 2)).allowed for _ in range(3)] == [True, True, False]

    def test_one_call_for_all_windows(self) -> None:
        redis, sent = Redis(connection_pool=get_redis_connection().connection_pool), []
        send = redis.execute_command
        redis.execute_command = lambda *args, **kw: sent.append(args[0]) or send(*args, **kw)
        limiter = Limiter(lambda: redis)
        hit(limiter, window("a", 9))
        sent.clear()
        hit(limiter, window("a", 9), window("b", 9), window("c", 9, known="m"))
        assert sent == ["EVALSHA"]

    @pytest.mark.parametrize("gone", [0, 1, 2, 7, 8, 9])
    def test_what_is_over_leaves_its_log(self, limiter: Limiter, gone: int) -> None:
        redis, hour = get_redis_connection(), window("a", 20, 3600)
        seconds, micros = redis.time()
        begin = (seconds - 3600) * 1_000_000 + micros
        ages = [*range(1, gone + 1), *range(-60_000_000, -60_000_009 + gone, -1)]
        redis.lpush(hour.key, *[begin - age for age in ages])
        verdict = hit(limiter, hour)
        assert verdict.tightest.count == redis.llen(hour.key) == 9 - gone + 1
        assert verdict.tightest.seconds in ((3600,) if gone == 9 else (60,))

    def test_the_wait_after_a_limit_was_lowered(self, limiter: Limiter) -> None:
        redis, minute = get_redis_connection(), window("a", 2)
        now = redis.time()[0] * 1_000_000
        redis.rpush(minute.key, *[now - age * 1_000_000 for age in (10, 20, 30, 40)])
        # Two must leave before one fits, and the one of 20 s ago is the last of them.
        assert 39 <= hit(limiter, minute).retry_after <= 40

    def test_no_windows_are_no_limit(self) -> None:
        assert Limiter(connect=lambda: pytest.fail("asked")).hit([]) is None


class TestInThisProcess(Both):
    @pytest.fixture
    def count(self) -> Callable[..., Verdict]:
        def away() -> Any:
            raise ConnectionError

        limiter = Limiter(away)
        return lambda *windows: limiter.hit(windows, locally=True)

    def test_what_is_over_is_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counter, now = LocalCounter(), time.monotonic_ns()
        for number in range(100):
            counter.count([window(f"{number}", 1, entry=f"{number}")])
        monkeypatch.setattr(time, "monotonic_ns", lambda: now + 121 * 10**9)
        counter.count([window("a", 1)])
        assert len(counter._logs) == len(counter._ends) == 1


@pytest.fixture
def from_address() -> Callable[..., Any]:
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
            ("10.0.0.1", "9.9.9.9, 1.2.3.4", "1.2.3.4"),  # the left one is the client's invention
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
    def test_through_proxies(
        self, settings: Any, from_address: Any, peer: str, forwarded: str | None, expected: str
    ) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.0/8", "192.0.2.7"]
        started = time.monotonic()
        assert client_address(from_address(peer, forwarded)) == expected
        assert time.monotonic() - started < 0.5

    def test_a_proxy_on_a_unix_socket(self, settings: Any, from_address: Any) -> None:
        settings.TRUSTED_PROXIES = ["127.0.0.1"]
        assert client_address(from_address("", "1.2.3.4")) == "1.2.3.4"

    def test_no_address_at_all(self) -> None:
        request = RequestFactory().get("/")
        del request.META["REMOTE_ADDR"]
        assert client_address(request) == "127.0.0.1"

    def test_blocks(self, from_address: Any) -> None:
        assert address_block(from_address("1.2.3.4")) == "1.2.3.4"
        assert address_block(from_address("2001:db8::1:2:3:4")) == "2001:db8::/64"
        assert address_block(from_address("::1")) == "::/64"


class Open(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response({})


class Closed(APIView):
    def get(self, request: Request) -> Response:
        return Response({})


class Door(Open):
    """A login: the right `password` is `open`."""

    throttle_classes = (AuthThrottle,)
    throttle_scope = "door"

    def throttle_account(self, request: Request) -> str:
        return given(request, "name", "email").lower()

    def post(self, request: Request) -> Response:
        if given(request, "password") == "open":
            remember_address(request, self.throttle_account(request))
        return Response({})


class Summaries(Open):
    throttle_classes = (SummaryThrottle,)

    def post(self, request: Request) -> Response:
        return Response({}, status=202)


def statuses(responses: Any) -> list[int]:
    return [response.status_code for response in responses]


class TestApi:
    @pytest.fixture(autouse=True)
    def _three_a_minute(self, settings: Any) -> None:
        settings.API_RATE_LIMIT = "3/minute,100/hour"

    def test_headers_and_the_refusal(self, api: APIClient, route: Any) -> None:
        where = route("open", Open.as_view())
        responses = [api.get(where) for _ in range(4)]
        assert statuses(responses) == [200, 200, 200, 429]
        assert [response["RateLimit-Remaining"] for response in responses] == [*"2100"]
        refused = responses[-1]
        assert refused["Content-Type"] == "application/problem+json"
        assert json.loads(refused.content)["code"] == "throttled"
        assert refused["RateLimit-Limit"] == "3"
        assert refused["RateLimit-Policy"] == "3;w=60, 100;w=3600"
        assert refused["Retry-After"] == refused["RateLimit-Reset"]
        assert 58 <= int(refused["Retry-After"]) <= 60

    def test_retry_after_over_http(self, api: APIClient, route: Any, settings: Any) -> None:
        settings.API_RATE_LIMIT = "1/second"
        where = route("open", Open.as_view())
        responses = [api.get(where), api.get(where)]
        assert statuses(responses) == [200, 429]
        time.sleep(int(responses[-1]["Retry-After"]))
        assert api.get(where).status_code == 200

    def test_every_status_counts_and_tells(self, api: APIClient, route: Any) -> None:
        where = route("open", Open.as_view())
        responses = [api.post(where), api.get(where, headers={"accept": "image/png"})]
        assert statuses(responses) == [405, 406]
        assert [response["RateLimit-Remaining"] for response in responses] == ["2", "1"]

    def test_wrong_tokens_count_for_the_address(self, api: APIClient, route: Any) -> None:
        where = route("closed", Closed.as_view())
        api.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
        responses = [api.get(where) for _ in range(4)]
        assert statuses(responses) == [401, 401, 401, 429]
        assert [response["RateLimit-Remaining"] for response in responses] == [*"2100"]

    def test_each_person_has_their_own(
        self, as_user: Any, owner: User, colleague: User, api: APIClient, route: Any
    ) -> None:
        where = route("closed", Closed.as_view())
        first, second = as_user(owner), as_user(owner)
        assert statuses([client.get(where) for client in (first, second, first, second)]) == [
            *(200, 200, 200),
            429,
        ]
        assert as_user(colleague).get(where).status_code == 200
        assert api.get(where).status_code == 401

    def test_sessions_count_with_tokens(self, as_user: Any, owner: User, route: Any) -> None:
        where, browser = route("closed", Closed.as_view()), Client()
        browser.force_login(owner)
        for client in (browser, as_user(owner), browser):
            assert client.get(where).status_code == 200
        assert statuses([browser.get(where), as_user(owner).get(where)]) == [429, 429]

    def test_addresses(self, api: APIClient, route: Any) -> None:
        where = route("open", Open.as_view())
        peers = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8:0:1::1"]
        responses = [api.get(where, REMOTE_ADDR=peer) for peer in peers]
        assert statuses(responses) == [200, 200, 200, 429, 200]

    def test_off(self, api: APIClient, route: Any, settings: Any) -> None:
        settings.API_RATE_LIMIT = "off"
        where = route("open", Open.as_view())
        responses = [api.get(where) for _ in range(5)]
        assert statuses(responses) == [200] * 5
        assert "RateLimit-Limit" not in responses[0]

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "where", ["/health", "/api/v1/health", "/api/v1/openapi.json", "/docs", "/redoc", "/"]
    )
    def test_not_limited(self, api: APIClient, where: str) -> None:
        responses = [api.get(where) for _ in range(5)]
        assert statuses(responses) == [200] * 5
        assert "RateLimit-Limit" not in responses[-1]

    def test_summaries(self, api: APIClient, route: Any, settings: Any) -> None:
        settings.API_RATE_LIMIT = "9/minute"
        settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = "2", "3"
        where = route("summaries", Summaries.as_view())
        responses = [api.post(where) for _ in range(3)]
        assert statuses(responses) == [202, 202, 429]
        assert responses[0]["RateLimit-Policy"] == "9;w=60, 2;w=60, 3;w=3600"
        assert api.get(where)["RateLimit-Remaining"] == "6"
        settings.RATE_LIMIT_PER_MINUTE = "off"
        assert statuses([api.post(where), api.post(where)]) == [202, 429]


class TestTriesToGetIn:
    @pytest.fixture
    def knock(self, api: APIClient, route: Any) -> Callable[..., Any]:
        where = route("door", Door.as_view())

        def knock(name: str, address: str = "1.1.1.1", password: str = "") -> Any:
            return api.post(where, {"name": name, "password": password}, REMOTE_ADDR=address)

        return knock

    def test_an_address(self, knock: Any) -> None:
        responses = [knock(f"name{number}") for number in range(12)]
        assert statuses(responses) == [200] * 10 + [429] * 2
        assert responses[-1]["RateLimit-Limit"] == "10"
        assert 58 <= int(responses[-1]["Retry-After"]) <= 60
        assert knock("name", address="2.2.2.2").status_code == 200

    def test_an_account(self, knock: Any) -> None:
        responses = [knock("NAME"), *(knock("name") for _ in range(5))]
        assert statuses(responses) == [200] * 5 + [429]
        assert responses[-1]["RateLimit-Limit"] == "5"
        assert knock("other").status_code == 200

    def test_one_stranger_keeps_nobody_out(self, knock: Any) -> None:
        assert statuses(knock("name") for _ in range(8))[-1] == 429
        assert knock("name", address="2.2.2.2").status_code == 200

    def test_many_addresses_get_no_more_tries(self, knock: Any) -> None:
        responses = [knock("name", address=f"1.1.1.{number}") for number in range(100)]
        assert statuses(responses) == [200] * 5 + [429] * 95

    def test_many_strangers_keep_nobody_out_where_they_were_before(self, knock: Any) -> None:
        assert knock("name", address="9.9.9.9", password="open").status_code == 200
        for key in get_redis_connection().keys("bureau:limit:door:*"):
            get_redis_connection().delete(key)
        for number in range(20):
            knock("name", address=f"1.1.1.{number}")
        assert knock("name", address="8.8.8.8").status_code == 429
        responses = [knock("name", address="9.9.9.9") for _ in range(6)]
        assert statuses(responses) == [200] * 5 + [429]

    @pytest.mark.parametrize(("names", "passed"), [(1, 5), (200, 10)])
    def test_parallel_tries(self, route: Any, names: int, passed: int) -> None:
        where = route("door", Door.as_view())

        def knock(number: int) -> int:
            return APIClient().post(where, {"name": f"n{number % names}"}).status_code

        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(knock, range(200)))
        assert (answers.count(200), answers.count(429)) == (passed, 200 - passed)

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [("{", "application/json", 400), ("<a/>", "text/xml", 415)],
    )
    def test_unreadable_bodies_count(
        self, api: APIClient, route: Any, body: str, kind: str, status: int
    ) -> None:
        where = route("door", Door.as_view())
        responses = [api.post(where, body, content_type=kind) for _ in range(11)]
        assert statuses(responses) == [status] * 10 + [429]
        assert responses[0]["RateLimit-Remaining"] == "9"

    def test_one_account_in_several_forms(self, api: APIClient, route: Any) -> None:
        where = route("door", Door.as_view())
        bodies = [
            {"name": 7},
            {"name": "7"},
            {"email": "7"},
            {"name": "", "email": "7"},
            {"name": 7},
        ]
        assert statuses(api.post(where, body) for body in bodies) == [200] * 5
        form = {"content_type": "application/x-www-form-urlencoded"}
        assert api.post(where, "name=7", **form).status_code == 429
        assert statuses(api.post(where, body) for body in ([], "7", {}, 7)) == [200] * 4

    def test_settings(self, knock: Any, settings: Any) -> None:
        settings.AUTH_RATE_LIMIT = "4/minute"
        assert statuses(knock("a") for _ in range(3)) == [200, 200, 429]
        settings.AUTH_ACCOUNT_RATE_LIMIT = "off"
        assert statuses(knock("a") for _ in range(3)) == [200, 200, 429]
        settings.AUTH_RATE_LIMIT, settings.AUTH_ACCOUNT_RATE_LIMIT = "off", None
        assert statuses(knock("a") for _ in range(20)) == [200] * 20
        settings.AUTH_ACCOUNT_RATE_LIMIT = "3/hour"
        assert statuses(knock("b") for _ in range(4)) == [200] * 3 + [429]

    def test_the_whole_api_s_limit_holds_too(self, knock: Any, settings: Any) -> None:
        settings.API_RATE_LIMIT, settings.AUTH_RATE_LIMIT = "2/minute", "off"
        assert statuses(knock("a") for _ in range(3)) == [200, 200, 429]

    def test_any_text_may_name_an_account(self, knock: Any) -> None:
        for name in ("\0", "a:b\r\n", "ü" * 100_000, "😀"):
            assert knock(name).status_code == 200
        assert max(len(key) for key in get_redis_connection().keys("*limit*")) < 200

    def test_by_a_view_of_plain_django(self, rf: RequestFactory, settings: Any) -> None:
        settings.AUTH_RATE_LIMIT = "4/minute"
        request = rf.post("/admin/login/")
        verdicts = [count_try(request, scope="admin", account="a") for _ in range(3)]
        assert [verdict and verdict.allowed for verdict in verdicts] == [True, True, False]
        assert request.rate_limit is verdicts[-1]
        settings.AUTH_RATE_LIMIT = "off"
        assert count_try(request, scope="admin", account="a") is None


@pytest.fixture
def cache_at(settings: Any) -> Callable[[int], None]:
    """Point the project's cache, with all its options, at a port of this machine."""

    def point(port: int) -> None:
        place = {"LOCATION": f"redis://127.0.0.1:{port}/0"}
        settings.CACHES = {"default": settings.CACHES["default"] | place}

    return point


@pytest.fixture
def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def hung_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestWithoutRedis:
    def test_requests_pass(
        self, api: APIClient, route: Any, settings: Any, cache_at: Any, dead_port: int, caplog: Any
    ) -> None:
        settings.API_RATE_LIMIT = "1/minute"
        cache_at(dead_port)
        where, started = route("open", Open.as_view()), time.monotonic()
        responses = [api.get(where) for _ in range(20)]
        assert time.monotonic() - started < 1
        assert statuses(responses) == [200] * 20
        assert "RateLimit-Limit" not in responses[0]
        assert sum("rate_limits_away" in record.getMessage() for record in caplog.records) == 1

    def test_logins_keep_a_local_limit(
        self, api: APIClient, route: Any, cache_at: Any, dead_port: int
    ) -> None:
        cache_at(dead_port)
        where = route("door", Door.as_view())
        responses = [api.post(where, {"name": "a", "password": "open"}) for _ in range(6)]
        assert statuses(responses) == [200] * 5 + [429]
        assert 58 <= int(responses[-1]["Retry-After"]) <= 60
        assert responses[-1]["RateLimit-Limit"] == "5"

    def test_a_hung_server_costs_one_wait(
        self, limiter: Limiter, cache_at: Any, hung_port: int
    ) -> None:
        cache_at(hung_port)
        started = time.monotonic()
        assert limiter.hit([window("a", 1)]) is None
        assert 0.5 < time.monotonic() - started < 1.5
        started = time.monotonic()
        assert [limiter.hit([window("a", 1)]) for _ in range(100)] == [None] * 100
        assert time.monotonic() - started < 0.1

    def test_one_request_finds_out_whether_it_is_back(self, caplog: Any) -> None:
        asked: list[float] = []

        def away() -> Any:
            asked.append(time.monotonic())
            time.sleep(0.05)
            raise ConnectionError

        limiter = Limiter(away)
        limiter.hit([window("a", 1)])
        assert len(asked) == 1
        limiter._breaker._next_try -= PAUSE
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: limiter.hit([window("a", 1)]), range(8)))
        assert len(asked) == 2
        limiter._breaker._next_try -= PAUSE
        limiter._connect = get_redis_connection
        assert [hit(limiter, window("a", 1)).allowed for _ in "ab"] == [True, False]
        events = [record.getMessage() for record in caplog.records]
        assert [sum(name in event for event in events) for name in ("_away", "_back")] == [1, 1]
