"""`GET /summaries/usage`."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from common.tests.support.ai_provider import FakeProvider, fail, server_error
from notes import services
from notes.models import ProviderCall, SummaryOutcome
from notes.tests.factories import TextSummaryFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/summaries/usage"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def create_outcomes(
    user: User, *times: int, at: datetime = NOON, model: str = "m", **columns: Any
) -> None:
    for ms in times:
        fields = {"failed": False, "cached": False, "duration_ms": ms, **columns}
        SummaryOutcome.objects.create(
            company=user.company, user=user, model=model, ended_at=at, **fields
        )


def create_call(user: User, *, at: datetime = NOON, **columns: Any) -> None:
    fields = {"model": "m", "attempt": 1, "outcome": "ok", "started_at": at, **columns}
    ProviderCall.objects.create(company=user.company, user=user, **fields)


@pytest.fixture
def days() -> dict[str, str]:
    return {"from": "2026-11-01", "to": "2026-11-30"}


def test_a_row_describes_a_day_and_a_model(as_user: Any, owner: User, days: dict) -> None:
    create_outcomes(owner, *range(100, 2100, 100))
    create_outcomes(owner, 90_000, failed=True)
    create_outcomes(owner, 1, 1, 1, cached=True)
    for _ in range(2):
        create_call(
            owner, prompt_tokens=100, cached_tokens=40, completion_tokens=10, cost_usd="0.0005"
        )
    estimate = {
        "is_estimate": True,
        "estimated_prompt_tokens": 300,
        "estimated_completion_tokens": 500,
        "estimated_cost_usd": "0.002",
    }
    create_call(owner, outcome="lost", **estimate)
    create_call(owner, outcome="ok", **{**estimate, "is_estimate": False})
    body = as_user(owner).get(URL, days).json()
    assert body["items"] == [
        {
            "date": "2026-11-20",
            "model": "m",
            "count": 24,
            "failures": 1,
            "reused": 3,
            "calls": 4,
            "failed_calls": 1,
            "prompt_tokens": 200,
            "completion_tokens": 20,
            "cached_tokens": 80,
            "reasoning_tokens": 0,
            "cost_usd": "0.001000000",
            "estimated_calls": 1,
            "estimated_prompt_tokens": 300,
            "estimated_completion_tokens": 500,
            "estimated_cost_usd": "0.002000000",
            "median_ms": 1050,
            "p95_ms": 1905,
        }
    ]
    assert (body["total"], body["totals"]["count"]) == (1, 24)
    assert Decimal(body["totals"]["cost_usd"]) == Decimal("0.001")
    assert body["totals"]["estimated_calls"] == 1
    assert body["totals"]["estimated_prompt_tokens"] == 300
    assert body["totals"]["estimated_completion_tokens"] == 500
    assert Decimal(body["totals"]["estimated_cost_usd"]) == Decimal("0.002")


def test_times_are_whole_milliseconds(as_user: Any, owner: User, days: dict) -> None:
    create_outcomes(owner, 1000, 2003, 4177)
    (row,) = as_user(owner).get(URL, days).json()["items"]
    assert (repr(row["median_ms"]), repr(row["p95_ms"])) == ("2003", "3960")


def test_days_are_in_utc_with_the_newest_first(as_user: Any, owner: User, days: dict) -> None:
    late = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
    create_outcomes(owner, 1, at=late)
    create_outcomes(owner, 1, at=late + timedelta(seconds=1))
    create_outcomes(owner, 1, at=late, model="a")
    create_call(owner, at=datetime(2026, 11, 30, 23, 59, tzinfo=UTC), model="z")
    create_outcomes(owner, 1, at=datetime(2026, 12, 1, tzinfo=UTC))
    body = as_user(owner).get(URL, days).json()
    assert [(item["date"], item["model"]) for item in body["items"]] == [
        ("2026-11-30", "z"),
        ("2026-11-21", "m"),
        ("2026-11-20", "a"),
        ("2026-11-20", "m"),
    ]
    assert body["items"][0]["count"] == 0
    assert body["items"][0]["median_ms"] is None
    only = as_user(owner).get(URL, days | {"model": "a"}).json()
    assert [item["model"] for item in only["items"]] == ["a"]
    assert only["totals"]["count"] == 1


def test_calls_for_all_purposes_are_counted_or_those_for_one(
    as_user: Any, owner: User, superuser: User, days: dict
) -> None:
    create_outcomes(owner, 1)
    create_call(owner, prompt_tokens=1)
    create_call(owner, prompt_tokens=2, purpose="description")
    ProviderCall.objects.create(
        model="m", attempt=1, purpose="embedding", prompt_tokens=4, started_at=NOON
    )

    def usage(user: User, **query: str) -> tuple[int, int, int]:
        totals = as_user(user).get(URL, days | query).json()["totals"]
        return totals["count"], totals["calls"], totals["prompt_tokens"]

    assert usage(owner) == (1, 2, 3)
    assert usage(owner, purpose="summary") == (1, 1, 1)
    assert usage(owner, purpose="description") == (0, 1, 2)
    assert usage(owner, purpose="embedding") == (0, 0, 0)
    assert usage(superuser) == (1, 3, 7)
    response = as_user(owner).get(URL, {"purpose": "lunch"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "purpose")


def test_a_time_in_the_query_means_its_day(as_user: Any, owner: User) -> None:
    create_outcomes(owner, 1)
    for at, found in (("2026-11-20T23:00:00Z", 1), ("2026-11-20T23:00:00-05:00", 0)):
        body = as_user(owner).get(URL, {"from": at, "to": "2026-11-30"}).json()
        assert body["totals"]["count"] == found


def test_summaries_and_their_calls_are_counted(
    as_user: Any, owner: User, provider: FakeProvider, run: Any
) -> None:
    provider.then(server_error())
    first = run(TextSummaryFactory(user=owner, text="A pump.").pk)
    run(TextSummaryFactory(user=owner, text="A pump.").pk)
    provider.then(fail(401))
    run(TextSummaryFactory(user=owner, text="Another.").pk)
    services.delete_summary(first, by=owner)
    (row,) = as_user(owner).get(URL).json()["items"]
    assert row["date"] == timezone.now().date().isoformat()
    assert (row["model"], row["count"], row["failures"]) == ("gpt-4o-mini", 3, 1)
    assert (row["reused"], row["calls"], row["failed_calls"]) == (1, 3, 2)
    assert row["prompt_tokens"] == provider.tokens("prompt_tokens")
    assert Decimal(row["cost_usd"]) == first.cost_usd > 0
    assert row["median_ms"] > 0


def test_embedded_summaries_count_without_calls(as_user: Any, owner: User, run: Any) -> None:
    run(TextSummaryFactory(user=owner).pk)
    (row,) = as_user(owner).get(URL).json()["items"]
    assert (row["model"], row["count"], row["calls"]) == ("bureau-extractive-4", 1, 0)


@pytest.mark.parametrize(
    ("viewer", "count"),
    [("owner", 1), ("colleague", 2), ("admin", 3), ("superuser", 7), ("outsider", 4)],
)
def test_a_user_sees_only_permitted_summaries(
    as_user: Any,
    owner: User,
    colleague: User,
    outsider: User,
    days: dict,
    viewer: str,
    count: int,
    request: pytest.FixtureRequest,
) -> None:
    for number, user in ((1, owner), (2, colleague), (4, outsider)):
        create_outcomes(user, *[1] * number)
        for _ in range(number):
            create_call(user)
    totals = as_user(request.getfixturevalue(viewer)).get(URL, days).json()["totals"]
    assert (totals["count"], totals["calls"]) == (count, count)


def test_worker_accounts_and_anonymous_users_have_no_access(
    as_user: Any, worker_account: User, api: Any
) -> None:
    assert as_user(worker_account).get(URL).status_code == 403
    assert api.get(URL).status_code == 401


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "2026-02-30T00:00:00Z"}, "to"),
        ({"to": "0001-01-01T00:00:00+23:00"}, "to"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from"),
        ({"model": "a\0b"}, "model"),
        ({"page": "x"}, "page"),
    ],
    ids=str,
)
def test_an_invalid_parameter_is_reported_by_its_name(
    as_user: Any, owner: User, query: dict, field: str
) -> None:
    response = as_user(owner).get(URL, query)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_future_start_is_refused(as_user: Any, owner: User) -> None:
    today = timezone.now().date()
    tomorrow = today + timedelta(days=1)
    (error,) = as_user(owner).get(URL, {"from": tomorrow}).json()["errors"]
    assert (error["field"], error["code"]) == ("from", "invalid")
    assert error["message"] == f"This must not be after today, {today} in UTC."
    (error,) = as_user(owner).get(URL, {"from": tomorrow, "to": today}).json()["errors"]
    assert error["message"] == "This must not be after the last day, `to`."


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_possible_day_are_accepted(
    as_user: Any, owner: User, day: str
) -> None:
    assert as_user(owner).get(URL, {"from": day, "to": day}).json()["items"] == []
    assert as_user(owner).get(URL, {"to": day}).status_code == 200


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    as_user: Any, owner: User, count_queries: Any, days: dict
) -> None:
    client = as_user(owner)
    create_outcomes(owner, 1)
    few = count_queries(lambda: client.get(URL, days))
    for number in range(30):
        create_outcomes(owner, 1, model=f"m{number}")
        create_call(owner, model=f"m{number}")
    assert count_queries(lambda: client.get(URL, days)) == few
