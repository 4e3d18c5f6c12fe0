"""Which requests the API's throttles count, for whom, and what the responses say."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django_redis import get_redis_connection
from rest_framework.test import APIClient

from accounts.models import User
from common.ratelimit import throttles
from common.ratelimit.rates import Rate
from common.ratelimit.throttles import SignInAttempt, TooManyAttempts
from common.ratelimit.windows import Window
from common.tests.support.throttled_views import (
    LoginView,
    PrivateView,
    PublicView,
    SummariesView,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("limiter")]


def statuses(responses: Any) -> list[int]:
    return [response.status_code for response in responses]


class TestApiThrottle:
    @pytest.fixture(autouse=True)
    def _limit(self, settings: Any) -> None:
        settings.API_RATE_LIMIT = "3/minute,100/hour"

    def test_the_fourth_request_is_refused_with_headers(self, api: APIClient, route: Any) -> None:
        url = route("public", PublicView.as_view())
        responses = [api.get(url) for _ in range(4)]
        assert statuses(responses) == [200, 200, 200, 429]
        assert [response["RateLimit-Remaining"] for response in responses] == [*"2100"]
        refused = responses[-1]
        assert refused["Content-Type"] == "application/problem+json"
        assert json.loads(refused.content)["code"] == "throttled"
        assert refused["RateLimit-Limit"] == "3"
        assert refused["RateLimit-Policy"] == "3;w=60, 100;w=3600"
        assert refused["Retry-After"] == refused["RateLimit-Reset"]
        assert 58 <= int(refused["Retry-After"]) <= 60

    def test_a_request_succeeds_after_retry_after(
        self, api: APIClient, route: Any, settings: Any
    ) -> None:
        settings.API_RATE_LIMIT = "1/second"
        url = route("public", PublicView.as_view())
        responses = [api.get(url), api.get(url)]
        assert statuses(responses) == [200, 429]
        time.sleep(int(responses[-1]["Retry-After"]))
        assert api.get(url).status_code == 200

    def test_every_status_is_counted_and_has_headers(self, api: APIClient, route: Any) -> None:
        url = route("public", PublicView.as_view())
        responses = [api.post(url), api.get(url, headers={"accept": "image/png"})]
        assert statuses(responses) == [405, 406]
        assert [response["RateLimit-Remaining"] for response in responses] == ["2", "1"]

    def test_an_invalid_token_counts_for_the_address(self, api: APIClient, route: Any) -> None:
        url = route("private", PrivateView.as_view())
        api.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
        responses = [api.get(url) for _ in range(4)]
        assert statuses(responses) == [401, 401, 401, 429]
        assert [response["RateLimit-Remaining"] for response in responses] == [*"2100"]

    def test_each_user_has_their_own_limit(
        self, as_user: Any, owner: User, colleague: User, api: APIClient, route: Any
    ) -> None:
        url = route("private", PrivateView.as_view())
        first, second = as_user(owner), as_user(owner)
        assert statuses([client.get(url) for client in (first, second, first, second)]) == [
            *(200, 200, 200),
            429,
        ]
        assert as_user(colleague).get(url).status_code == 200
        assert api.get(url).status_code == 401

    def test_sessions_and_tokens_of_a_user_share_the_limit(
        self, as_user: Any, owner: User, route: Any
    ) -> None:
        url, browser = route("private", PrivateView.as_view()), Client()
        browser.force_login(owner)
        for client in (browser, as_user(owner), browser):
            assert client.get(url).status_code == 200
        assert statuses([browser.get(url), as_user(owner).get(url)]) == [429, 429]

    def test_an_ipv6_network_shares_the_limit(self, api: APIClient, route: Any) -> None:
        url = route("public", PublicView.as_view())
        peers = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8:0:1::1"]
        responses = [api.get(url, REMOTE_ADDR=peer) for peer in peers]
        assert statuses(responses) == [200, 200, 200, 429, 200]

    def test_off_means_no_limit_and_no_headers(
        self, api: APIClient, route: Any, settings: Any
    ) -> None:
        settings.API_RATE_LIMIT = "off"
        url = route("public", PublicView.as_view())
        responses = [api.get(url) for _ in range(5)]
        assert statuses(responses) == [200] * 5
        assert "RateLimit-Limit" not in responses[0]

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "url", ["/health", "/api/v1/health", "/api/v1/openapi.json", "/docs", "/redoc", "/"]
    )
    def test_health_and_docs_are_not_limited(self, api: APIClient, url: str) -> None:
        responses = [api.get(url) for _ in range(5)]
        assert statuses(responses) == [200] * 5
        assert "RateLimit-Limit" not in responses[-1]

    def test_new_summaries_have_limits_of_their_own(
        self, api: APIClient, route: Any, settings: Any
    ) -> None:
        settings.API_RATE_LIMIT = "9/minute"
        settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = "2", "3"
        url = route("summaries", SummariesView.as_view())
        responses = [api.post(url) for _ in range(3)]
        assert statuses(responses) == [202, 202, 429]
        assert responses[0]["RateLimit-Policy"] == "9;w=60, 2;w=60, 3;w=3600"
        assert api.get(url)["RateLimit-Remaining"] == "6"
        settings.RATE_LIMIT_PER_MINUTE = "off"
        assert statuses([api.post(url), api.post(url)]) == [202, 429]


class TestAuthThrottle:
    @pytest.fixture
    def attempt(self, api: APIClient, route: Any) -> Callable[..., Any]:
        url = route("login", LoginView.as_view())

        def attempt(name: str, address: str = "1.1.1.1", password: str = "") -> Any:
            return api.post(url, {"name": name, "password": password}, REMOTE_ADDR=address)

        return attempt

    def test_attempts_of_an_address_are_limited(self, attempt: Any) -> None:
        responses = [attempt(f"name{number}") for number in range(12)]
        assert statuses(responses) == [200] * 10 + [429] * 2
        assert responses[-1]["RateLimit-Limit"] == "10"
        assert 58 <= int(responses[-1]["Retry-After"]) <= 60
        assert attempt("name", address="2.2.2.2").status_code == 200

    def test_attempts_on_an_account_are_limited(self, attempt: Any) -> None:
        responses = [attempt("NAME"), *(attempt("name") for _ in range(5))]
        assert statuses(responses) == [200] * 5 + [429]
        assert responses[-1]["RateLimit-Limit"] == "5"
        assert attempt("other").status_code == 200

    def test_one_stranger_cannot_lock_a_user_out(self, attempt: Any) -> None:
        assert statuses(attempt("name") for _ in range(8))[-1] == 429
        assert attempt("name", address="2.2.2.2").status_code == 200

    def test_many_addresses_get_no_more_attempts(self, attempt: Any) -> None:
        responses = [attempt("name", address=f"1.1.1.{number}") for number in range(100)]
        assert statuses(responses) == [200] * 5 + [429] * 95

    def test_strangers_cannot_lock_a_user_out_at_a_known_address(self, attempt: Any) -> None:
        assert attempt("name", address="9.9.9.9", password="correct").status_code == 200
        for key in get_redis_connection().keys("bureau:limit:login:*"):
            get_redis_connection().delete(key)
        for number in range(20):
            attempt("name", address=f"1.1.1.{number}")
        assert attempt("name", address="8.8.8.8").status_code == 429
        responses = [attempt("name", address="9.9.9.9") for _ in range(6)]
        assert statuses(responses) == [200] * 5 + [429]

    @pytest.mark.parametrize(("names", "passed"), [(1, 5), (200, 10)])
    def test_parallel_attempts_are_counted_exactly(
        self, route: Any, names: int, passed: int
    ) -> None:
        url = route("login", LoginView.as_view())

        def attempt(number: int) -> int:
            return APIClient().post(url, {"name": f"n{number % names}"}).status_code

        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(attempt, range(200)))
        assert (answers.count(200), answers.count(429)) == (passed, 200 - passed)

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [("{", "application/json", 400), ("<a/>", "text/xml", 415)],
    )
    def test_unreadable_bodies_are_counted(
        self, api: APIClient, route: Any, body: str, kind: str, status: int
    ) -> None:
        url = route("login", LoginView.as_view())
        responses = [api.post(url, body, content_type=kind) for _ in range(11)]
        assert statuses(responses) == [status] * 10 + [429]
        assert responses[0]["RateLimit-Remaining"] == "9"

    def test_the_fields_and_types_of_an_account_share_the_limit(
        self, api: APIClient, route: Any
    ) -> None:
        url = route("login", LoginView.as_view())
        bodies = [
            {"name": 7},
            {"name": "7"},
            {"email": "7"},
            {"name": "", "email": "7"},
            {"name": 7},
        ]
        assert statuses(api.post(url, body) for body in bodies) == [200] * 5
        form = {"content_type": "application/x-www-form-urlencoded"}
        assert api.post(url, "name=7", **form).status_code == 429
        assert statuses(api.post(url, body) for body in ([], "7", {}, 7)) == [200] * 4

    def test_settings_change_the_limits(self, attempt: Any, settings: Any) -> None:
        settings.AUTH_RATE_LIMIT = "4/minute"
        assert statuses(attempt("a") for _ in range(3)) == [200, 200, 429]
        settings.AUTH_ACCOUNT_RATE_LIMIT = "off"
        # The attempt that was refused for its account counts for its address.
        assert statuses(attempt("a") for _ in range(2)) == [200, 429]
        settings.AUTH_RATE_LIMIT, settings.AUTH_ACCOUNT_RATE_LIMIT = "off", None
        assert statuses(attempt("a") for _ in range(20)) == [200] * 20
        settings.AUTH_ACCOUNT_RATE_LIMIT = "3/hour"
        assert statuses(attempt("b") for _ in range(4)) == [200] * 3 + [429]

    def test_the_api_limit_applies_too(self, attempt: Any, settings: Any) -> None:
        settings.API_RATE_LIMIT, settings.AUTH_RATE_LIMIT = "2/minute", "off"
        assert statuses(attempt("a") for _ in range(3)) == [200, 200, 429]

    def test_any_text_can_be_an_account_name(self, attempt: Any) -> None:
        for name in ("\0", "a:b\r\n", "ü" * 50_000, "😀"):
            assert attempt(name).status_code == 200
        assert max(len(key) for key in get_redis_connection().keys("*limit*")) < 200


class TestSignInAttempt:
    def attempt(self, request: Any, *, account: str = "a", succeeded: bool = False) -> None:
        with SignInAttempt(request, account=account) as attempt:
            attempt.succeeded = succeeded

    def test_only_failures_are_counted(self, rf: RequestFactory, settings: Any) -> None:
        settings.AUTH_RATE_LIMIT = "4/minute"
        request = rf.post("/")
        for succeeded in [True] * 6 + [False, True, True, False]:
            self.attempt(request, succeeded=succeeded)
        with pytest.raises(TooManyAttempts) as refused:
            self.attempt(request, succeeded=True)
        assert re.fullmatch(r"Too many attempts; wait (59|60) seconds\.", str(refused.value.detail))
        assert request.rate_limit.headers["RateLimit-Remaining"] == "0"
        assert int(request.rate_limit.headers["RateLimit-Reset"]) == refused.value.wait

    def test_the_address_counts_failures_on_all_accounts(
        self, rf: RequestFactory, settings: Any
    ) -> None:
        settings.AUTH_RATE_LIMIT = "3/minute"
        for number in range(3):
            self.attempt(rf.post("/"), account="right", succeeded=True)
            self.attempt(rf.post("/"), account=f"a{number}")
        with pytest.raises(TooManyAttempts):
            self.attempt(rf.post("/"), account="right", succeeded=True)
        self.attempt(rf.post("/", REMOTE_ADDR="2.2.2.2"), account="right", succeeded=True)

    def test_a_success_leaves_no_trace_in_the_counts(self, rf: RequestFactory) -> None:
        redis = get_redis_connection()
        self.attempt(rf.post("/"), succeeded=True)
        keys = {key.decode() for key in redis.keys("bureau:limit:*")}
        assert {key.split(":")[2] for key in keys} == {"known"}

    def test_an_attempt_that_ends_in_an_error_is_not_counted(
        self, rf: RequestFactory, settings: Any
    ) -> None:
        settings.AUTH_RATE_LIMIT = "2/minute"
        for _ in range(5):
            with pytest.raises(ZeroDivisionError), SignInAttempt(rf.post("/"), account="a"):
                raise ZeroDivisionError
        self.attempt(rf.post("/"))

    def test_parallel_guesses_do_not_pass_the_limit(self, rf: RequestFactory) -> None:
        checked: list[int] = []

        def guess(number: int) -> None:
            with suppress(TooManyAttempts), SignInAttempt(rf.post("/"), account="a"):
                checked.append(number)
                time.sleep(0.01)

        with ThreadPoolExecutor(30) as threads:
            list(threads.map(guess, range(60)))
        assert len(checked) == 5

    def test_the_headers_describe_the_strictest_limit_of_the_request(
        self, rf: RequestFactory
    ) -> None:
        request = rf.post("/")
        window = Window("bureau:limit:test", Rate(3, 10))
        request.rate_limit = throttles.limiter.count_request([window])  # type: ignore[attr-defined]
        self.attempt(request, succeeded=True)
        assert request.rate_limit.headers == {  # type: ignore[attr-defined]
            "RateLimit-Limit": "3",
            "RateLimit-Remaining": "2",
            "RateLimit-Reset": "10",
            "RateLimit-Policy": "3;w=10, 10;w=60, 5;w=60",
        }

    def test_off_means_no_limit(self, rf: RequestFactory, settings: Any) -> None:
        settings.AUTH_RATE_LIMIT = "off"
        for _ in range(20):
            self.attempt(rf.post("/"))
