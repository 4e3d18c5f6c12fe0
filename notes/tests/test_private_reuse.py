"""A reused summary does not show that a colleague's private note has the same text."""

from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db.models import F

from accounts.models import User
from common.tests.support.ai_provider import FakeProvider, answer
from notes import services
from notes.models import ProviderCall, Summary
from notes.summary_options import SummaryOptions
from notes.tests.factories import NoteFactory, TextSummaryFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/summaries"
TEXT = "The pump failed on Monday. It was replaced on Tuesday. It has run well since."
USAGE = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")
REPORT = (*USAGE, "calls", "count", "reused", "failures")


@pytest.fixture
def first(owner: User, provider: FakeProvider, run: Any) -> Summary:
    """The summary of the owner's private note, which the provider made."""
    provider.then(answer("The pump was replaced."))
    return run(NoteFactory(user=owner, raw_text=TEXT).own_summary.pk)


@pytest.fixture
def second(first: Summary, colleague: User, run: Any) -> Summary:
    """The summary of the same text in the colleague's own private note."""
    return run(NoteFactory(user=colleague, raw_text=TEXT).own_summary.pk)


def read(client: Any, summary: Summary) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"{URL}/{summary.pk}").json()
    return body


def list_by_id(client: Any, **query: Any) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in client.get(URL, query).json()["items"]}


def report(client: Any) -> dict[str, Any]:
    totals = client.get(f"{URL}/usage").json()["totals"]
    return {name: totals[name] for name in REPORT}


def test_the_company_pays_once(second: Summary, provider: FakeProvider) -> None:
    assert len(provider.requests) == ProviderCall.objects.count() == 1
    assert (second.summary, second.model) == ("The pump was replaced.", "gpt-4o-mini")


def test_the_colleague_sees_a_new_summary(
    as_user: Any, owner: User, colleague: User, first: Summary, second: Summary
) -> None:
    made, reused = read(as_user(owner), first), read(as_user(colleague), second)
    assert (made["cached"], reused["cached"]) == (False, False)
    assert made["prompt_tokens"] > 0
    assert Decimal(made["cost_usd"]) > 0
    same = (*USAGE, "status", "attempts", "model", "progress", "error", "omitted", "summary")
    assert {name: reused[name] for name in same} == {name: made[name] for name in same}
    assert reused.keys() == made.keys()
    assert list_by_id(as_user(colleague)) == {str(second.pk): reused}


@pytest.mark.parametrize("viewer", ["admin", "superuser"])
def test_who_sees_both_rows_sees_the_reuse_and_what_was_paid(
    as_user: Any, first: Summary, second: Summary, viewer: str, request: Any
) -> None:
    client = as_user(request.getfixturevalue(viewer))
    rows = list_by_id(client)
    assert rows[str(second.pk)] == read(client, second)
    assert [rows[str(row.pk)]["cached"] for row in (first, second)] == [False, True]
    assert {name: Decimal(rows[str(second.pk)][name]) for name in USAGE} == dict.fromkeys(USAGE, 0)
    assert Decimal(rows[str(first.pk)]["cost_usd"]) == first.cost_usd > 0


def test_filters_and_ordering_do_not_show_the_reuse(
    as_user: Any, colleague: User, admin: User, first: Summary, second: Summary, run: Any
) -> None:
    other = TextSummaryFactory(user=colleague, text="Another.", cost_usd=second.cost_usd / 2)
    client = as_user(colleague)
    assert set(list_by_id(client, cached="true")) == set()
    assert set(list_by_id(client, cached="false")) == {str(second.pk), str(other.pk)}
    assert list(list_by_id(client, ordering="-cost_usd")) == [str(second.pk), str(other.pk)]
    assert set(list_by_id(as_user(admin), cached="true")) == {str(second.pk)}
    assert set(list_by_id(as_user(admin), cached="false")) == {str(first.pk), str(other.pk)}


def test_the_usage_report_of_the_colleague_is_that_of_the_owner(
    as_user: Any, owner: User, colleague: User, admin: User, second: Summary
) -> None:
    expected = report(as_user(owner))
    assert (expected["calls"], expected["reused"], expected["count"]) == (1, 0, 1)
    assert report(as_user(colleague)) == expected
    (row,) = as_user(colleague).get(f"{URL}/usage").json()["items"]
    assert row["median_ms"] is not None
    (row,) = as_user(colleague).get(f"{URL}/usage?model=gpt-4o-mini").json()["items"]
    assert row["calls"] == 1
    assert as_user(colleague).get(f"{URL}/usage?model=other").json()["items"] == []
    assert report(as_user(admin)) == expected | {"count": 2, "reused": 1}


def test_a_text_of_ones_own_is_shown_as_reused(
    as_user: Any, colleague: User, second: Summary, run: Any
) -> None:
    third = run(TextSummaryFactory(user=colleague, text=TEXT, max_words=second.max_words).pk)
    body = read(as_user(colleague), third)
    assert (body["cached"], body["prompt_tokens"], Decimal(body["cost_usd"])) == (True, 0, 0)
    assert report(as_user(colleague))["reused"] == 1


def test_an_admin_who_repeats_an_agents_text_sees_the_reuse(
    as_user: Any, admin: User, first: Summary, run: Any
) -> None:
    summary = run(NoteFactory(user=admin, raw_text=TEXT).own_summary.pk)
    assert read(as_user(admin), summary)["cached"] is True


def test_the_texts_of_a_batch_are_shown_in_the_same_way(
    as_user: Any, colleague: User, admin: User, first: Summary, run: Any
) -> None:
    options = SummaryOptions(max_words=first.max_words)
    batch = services.create_batch(by=colleague, texts=[TEXT, TEXT], options=options)
    rows = [run(summary.pk) for summary in batch.summaries.order_by("index")]
    for user, cached in ((colleague, [False, True]), (admin, [True, True])):
        items = as_user(user).get(f"{URL}/batches/{batch.pk}").json()["items"]
        assert [item["cached"] for item in items] == cached
        assert [item["prompt_tokens"] > 0 for item in items] == [not value for value in cached]
    assert rows[0].reuse_is_private


@pytest.mark.parametrize("deleted", ["the producer", "all but the last"])
def test_the_usage_is_known_after_earlier_rows_were_deleted(
    as_user: Any, owner: User, colleague: User, first: Summary, run: Any, deleted: str
) -> None:
    cost = first.cost_usd
    kept = run(NoteFactory(user=owner, raw_text=TEXT).own_summary.pk)
    assert kept.cached
    services.delete_note(first.note, by=owner)
    if deleted == "all but the last":
        last = run(NoteFactory(user=owner, raw_text=TEXT).own_summary.pk)
        services.delete_note(kept.note, by=owner)
        assert last.cached
    second = run(NoteFactory(user=colleague, raw_text=TEXT).own_summary.pk)
    body = read(as_user(colleague), second)
    assert (body["cached"], Decimal(body["cost_usd"])) == (False, cost)


def test_the_old_summary_is_reused_while_a_new_one_is_queued(
    as_user: Any, owner: User, colleague: User, first: Summary, run: Any
) -> None:
    services.requeue_summary(first, by=owner)
    body = read(as_user(colleague), run(NoteFactory(user=colleague, raw_text=TEXT).own_summary.pk))
    assert (body["status"], body["cached"]) == ("completed", False)
    assert body["prompt_tokens"] == first.prompt_tokens > 0


def test_a_summary_that_is_made_again_is_a_new_one_for_all(
    as_user: Any, colleague: User, admin: User, second: Summary, provider: FakeProvider, run: Any
) -> None:
    provider.then(answer("Made again."))
    services.requeue_summary(second, by=colleague)
    again = run(second.pk)
    assert again.summary == "Made again."
    assert (again.reuse_is_private, again.reused_usage) == (False, None)
    shown = [read(as_user(user), again) for user in (colleague, admin)]
    assert shown[0] == shown[1]
    assert (shown[0]["cached"], Decimal(shown[0]["cost_usd"])) == (False, again.cost_usd)


def test_the_migration_hides_earlier_reuses(
    owner: User, colleague: User, admin: User, first: Summary, second: Summary, run: Any
) -> None:
    own = run(NoteFactory(user=colleague, raw_text=TEXT).own_summary.pk)
    by_admin = run(NoteFactory(user=admin, raw_text=TEXT).own_summary.pk)
    # As the release before stored it.
    Summary.objects.filter(pk=second.pk).update(
        cached=True, reuse_is_private=False, reused_usage=None, cost_usd=0, prompt_tokens=0
    )
    Summary.objects.filter(pk=own.pk).update(finished_at=F("finished_at") + timedelta(seconds=1))
    import_module("notes.migrations.0002_private_reuse").hide_earlier_reuses(apps, None)
    rows = [Summary.objects.get(pk=row.pk) for row in (first, second, own, by_admin)]
    assert [row.reuse_is_private for row in rows] == [False, True, False, False]
    assert [row.cached for row in rows] == [False, False, True, True]
