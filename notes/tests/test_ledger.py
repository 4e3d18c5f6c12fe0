"""The ledger of requests to the provider, and `reconcile_calls`."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.models import User
from common import ai
from common.ai.ledger import Purpose, open_ledger
from common.ai.types import CallRecord, CostEstimate, Usage
from common.ids import uuid7
from common.jobs import LostLease
from common.jobs.handlers import perform
from common.jobs.status import JobStatus
from common.tests.support.ai_provider import (
    Exchange,
    FakeProvider,
    answer,
    cut_off,
    fail,
    garbage,
    rate_limited,
    refusal,
    server_error,
    slow,
)
from notes.ledger import SummaryLedger, reconcile
from notes.models import ProviderCall, Summary
from notes.tasks import close_lost_calls
from notes.tests.factories import TextSummaryFactory
from notes.usage import compute_totals, list_usage

pytestmark = pytest.mark.django_db
ESTIMATE = CostEstimate(300, 500, Decimal("0.000345"))
TEXT = "The pump failed on Monday. It was replaced on Tuesday. It has run well since."


@pytest.fixture
def summary(owner: User) -> Summary:
    return TextSummaryFactory(user=owner, text=TEXT)


def outcomes() -> list[tuple[str, int | None, int]]:
    return list(ProviderCall.objects.order_by("pk").values_list("outcome", "status", "attempt"))


def has_usage_of(provider: FakeProvider) -> bool:
    """Compare the ledger with the provider's usage, by the ids of the requests."""
    requests = {r.headers["x-client-request-id"]: r for r in provider.requests}
    calls = ProviderCall.objects.in_bulk()
    assert set(requests) == {str(pk) for pk in calls}
    for pk, call in calls.items():
        usage = requests[str(pk)].usage or {}
        if call.outcome == "ok":
            assert call.prompt_tokens == usage["prompt_tokens"]
            assert call.completion_tokens == usage["completion_tokens"]
    return True


class TestOtherPurposes:
    def test_a_call_of_another_app_is_a_row_of_its_company(self, admin: User) -> None:
        ledger = open_ledger(
            purpose=Purpose.EMBEDDING, company_id=admin.company_id, user_id=admin.pk
        )
        handle = ledger.begin(model="gpt-4o-mini", attempt=1, estimate=ESTIMATE)
        call = ProviderCall.objects.get(pk=handle)
        assert (call.purpose, call.company, call.user) == ("embedding", admin.company, admin)
        assert (call.outcome, call.estimated_cost_usd) == ("open", ESTIMATE.cost_usd)
        ledger.end(handle, CallRecord("gpt-4o-mini", "ok", 200, 1, prompt_tokens=7))
        call.refresh_from_db()
        assert (call.outcome, call.prompt_tokens, call.summary) == ("ok", 7, None)

    def test_no_call_leaves_in_a_transaction_that_can_roll_its_row_back(self) -> None:
        ledger = open_ledger(purpose=Purpose.EMBEDDING, company_id=None)
        with transaction.atomic(), pytest.raises(RuntimeError):
            ledger.begin(model="gpt-4o-mini", attempt=1, estimate=ESTIMATE)
        assert not ProviderCall.objects.exists()

    def test_lost_calls_are_closed_and_reconciled(self, admin: User) -> None:
        ledger = open_ledger(purpose=Purpose.DESCRIPTION, company_id=admin.company_id)
        handle = ledger.begin(model="gpt-4o-mini", attempt=1, estimate=ESTIMATE)
        ProviderCall.objects.update(started_at=Now() - timedelta(hours=1))
        assert close_lost_calls() == 1
        assert reconcile({handle: Usage(1000, 100)}) == (1, 0)
        call = ProviderCall.objects.get()
        assert (call.outcome, call.is_estimate, call.cost_usd) == (
            "lost",
            False,
            Decimal("0.00021"),
        )


class TestFailures:
    @pytest.mark.parametrize(
        ("failure", "outcome", "status"),
        [
            (rate_limited(0), "rate_limited", 429),
            (server_error(), "error", 500),
            (cut_off(), "invalid", None),
            (garbage(), "invalid", 200),
        ],
    )
    def test_a_temporary_failure_is_a_row_of_its_own(
        self,
        summary: Summary,
        provider: FakeProvider,
        run: Any,
        failure: Any,
        outcome: str,
        status: int | None,
    ) -> None:
        provider.then(failure)
        job = run(summary.pk)
        assert (job.status, job.error, job.attempts) == (JobStatus.COMPLETED, "", 1)
        assert outcomes() == [(outcome, status, 1), ("ok", 200, 2)]
        assert has_usage_of(provider)
        assert job.prompt_tokens == provider.tokens("prompt_tokens")
        assert job.cost_usd == sum(ProviderCall.objects.values_list("cost_usd", flat=True)) > 0

    @pytest.mark.parametrize(
        ("failure", "reason"),
        [
            (fail(401), "the provider refused our key (401): OPENAI_API_KEY is wrong or missing"),
            (
                refusal(),
                "the provider declined to summarise this text: its content filter refused it",
            ),
        ],
    )
    def test_a_final_failure_fails_the_summary(
        self, summary: Summary, provider: FakeProvider, run: Any, failure: Any, reason: str
    ) -> None:
        provider.default = failure
        job = run(summary.pk)
        assert (job.status, job.error, job.attempts) == (JobStatus.FAILED, reason, 1)
        assert len(provider.requests) == ProviderCall.objects.count() == 1
        assert job.prompt_tokens == ProviderCall.objects.get().prompt_tokens

    def test_a_lasting_failure_queues_the_summary_again(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        provider.default = rate_limited(120)
        job = run(summary.pk)
        assert (job.status, job.attempts) == (JobStatus.QUEUED, 1)
        assert "asks for a pause of 120 seconds" in job.error
        assert job.run_after - job.updated_at == timedelta(seconds=120)
        for _ in range(2):
            Summary.objects.filter(pk=job.pk).update(run_after=Now())
            job = run(summary.pk)
        assert (job.status, job.attempts) == (JobStatus.FAILED, 3)
        assert outcomes() == [("rate_limited", 429, 1)] * 3

    def test_a_timeout_is_recorded_with_its_estimate(
        self, summary: Summary, provider: FakeProvider, run: Any, settings: Any
    ) -> None:
        settings.OPENAI = settings.OPENAI | {"timeout": 0.2}
        ai.summarizer.cache_clear()
        provider.default = slow(20)
        job = run(summary.pk)
        assert (job.status, job.error) == (
            JobStatus.QUEUED,
            "the provider did not answer within 0.2 seconds",
        )
        assert outcomes() == [("timeout", None, 1)]
        call = ProviderCall.objects.get()
        assert 200 <= call.duration_ms < 2000
        assert (call.is_estimate, call.prompt_tokens, call.cost_usd) == (True, 0, 0)
        assert call.estimated_prompt_tokens >= provider.requests[0].prompt_tokens
        assert call.estimated_completion_tokens == 500
        assert call.estimated_cost_usd > 0
        assert job.cost_usd == 0

    def test_an_impossible_usage_is_replaced_by_estimates(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        provider.default = answer(usage={"prompt_tokens": -5, "completion_tokens": 10**30})
        run(summary.pk)
        call = ProviderCall.objects.get()
        assert 100 < call.prompt_tokens < 1000
        assert 3 <= call.completion_tokens < 50
        assert 0 < call.cost_usd < Decimal("0.001")

    def test_all_kinds_of_tokens_are_stored(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        usage = {
            "prompt_tokens": 1000,
            "completion_tokens": 200,
            "prompt_tokens_details": {"cached_tokens": 600},
            "completion_tokens_details": {"reasoning_tokens": 150},
        }
        provider.default = answer("Tea.", usage=usage)
        job = run(summary.pk)
        call = ProviderCall.objects.get()
        for row in (job, call):
            assert (row.prompt_tokens, row.completion_tokens) == (1000, 200)
            assert (row.cached_tokens, row.reasoning_tokens) == (600, 150)
            assert row.cost_usd == Decimal("0.000225")
        assert (call.user_id, call.company_id) == (job.user_id, job.company_id)
        assert call.summary_id == job.pk
        assert call.model == "gpt-4o-mini"


class TestLongTexts:
    def test_every_fact_of_300_pages_reaches_the_model(
        self, as_user: Any, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        filler = "The committee listened to the report and thanked its author for the work. " * 7
        text = "".join(f"Fact number {n:04} is here. {filler}\n\n" for n in range(1500))
        client = as_user(owner)
        created = client.post("/api/v1/summaries", {"text": text, "max_words": 200}).json()
        assert created["text_length"] == len(text) > 700_000
        job = run(created["id"])
        assert (job.status, job.progress, job.omitted) == (JobStatus.COMPLETED, 1, "")
        seen = "".join(r.document for r in provider.requests if "dense notes" in r.system)
        assert all(f"Fact number {n:04} is here." in seen for n in range(1500))
        assert has_usage_of(provider)
        assert job.prompt_tokens == provider.tokens("prompt_tokens")
        assert job.completion_tokens == provider.tokens("completion_tokens")

    def test_an_omission_is_shown_to_the_client(
        self, as_user: Any, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        provider.default = answer("We had tea. It was good. Bob left.")
        client = as_user(owner)
        created = client.post("/api/v1/summaries", {"text": TEXT, "max_words": 6}).json()
        run(created["id"])
        body = client.get(f"/api/v1/summaries/{created['id']}").json()
        assert body["summary"] == "We had tea. It was good."
        assert body["omitted"] == "the end of an answer that was longer than 6 words"

    def test_each_part_renews_the_lease(
        self, owner: User, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reported: list[float] = []
        renew = Summary.renew

        def renew_and_report(job: Summary, **columns: Any) -> None:
            reported.extend(columns.values())
            renew(job, **columns)

        monkeypatch.setattr(Summary, "renew", renew_and_report)
        summary = TextSummaryFactory(user=owner, text="A pump is a pump. " * 12_000)
        perform(Summary.objects.claim(summary.pk))
        assert len(reported) == len(provider.requests) > 3
        assert (reported, reported[-1]) == (sorted(reported), 1)


class TestBegin:
    def test_a_run_that_lost_its_lease_begins_no_call(
        self, summary: Summary, provider: FakeProvider
    ) -> None:
        job = Summary.objects.claim(summary.pk)
        Summary.objects.get(pk=summary.pk).cancel()
        with pytest.raises(LostLease):
            SummaryLedger(job).begin(model="gpt-4o-mini", attempt=1, estimate=ESTIMATE)
        assert not ProviderCall.objects.exists()

    def test_a_cancelled_run_sends_no_more_requests(
        self, summary: Summary, provider: FakeProvider
    ) -> None:
        job = Summary.objects.claim(summary.pk)
        provider.then(server_error())
        end = SummaryLedger.end

        def end_then_cancel(ledger: SummaryLedger, handle: object, call: Any) -> None:
            end(ledger, handle, call)
            Summary.objects.get(pk=summary.pk).cancel()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SummaryLedger, "end", end_then_cancel)
            with pytest.raises(LostLease):
                perform(job)
        assert len(provider.requests) == 1
        assert outcomes() == [("error", 500, 1)]


class TestLost:
    def test_a_call_of_a_dead_worker_is_closed_when_the_summary_fails(
        self, summary: Summary
    ) -> None:
        job = Summary.objects.claim(summary.pk)
        SummaryLedger(job).begin(model="gpt-4o-mini", attempt=1, estimate=ESTIMATE)
        job.fail("Its worker died.")
        assert outcomes() == [("lost", None, 1)]
        call = ProviderCall.objects.get()
        assert (call.is_estimate, call.cost_usd) == (True, 0)
        assert (call.estimated_prompt_tokens, call.estimated_completion_tokens) == (300, 500)
        assert call.estimated_cost_usd == ESTIMATE.cost_usd

    def test_a_worker_that_was_only_paused_replaces_the_estimate(
        self, summary: Summary, provider: FakeProvider
    ) -> None:
        job = Summary.objects.claim(summary.pk)
        handle = SummaryLedger(job).begin(model="gpt-4o-mini", attempt=1, estimate=ESTIMATE)
        ProviderCall.objects.close_as_lost()
        SummaryLedger(job).end(handle, CallRecord("gpt-4o-mini", "ok", 200, 1, prompt_tokens=7))
        call = ProviderCall.objects.get()
        assert (call.outcome, call.prompt_tokens, call.error) == ("ok", 7, "")
        assert not call.is_estimate

    def test_open_calls_of_a_deleted_summary_are_closed_by_the_sweep(
        self, summary: Summary
    ) -> None:
        job = Summary.objects.claim(summary.pk)
        SummaryLedger(job).begin(model="gpt-4o-mini", attempt=1, estimate=ESTIMATE)
        summary.delete()
        assert close_lost_calls() == 0
        ProviderCall.objects.update(started_at=Now() - timedelta(hours=1))
        assert close_lost_calls() == 1
        assert outcomes() == [("lost", None, 1)]


class TestUnfinishedCalls:
    """Calls of a living worker whose summary fails or is cancelled before they end."""

    def test_parallel_parts_of_a_failed_summary_are_lost(
        self, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        def behave(exchange: Exchange) -> None:
            (fail(401) if "part 2 of" in exchange.system else slow(0.3))(exchange)

        provider.default = behave
        text = "The pump was looked at by many people. " * 6000
        job = run(TextSummaryFactory(user=owner, text=text).pk)
        assert job.status == JobStatus.FAILED
        calls = ProviderCall.objects.in_bulk()
        assert Counter(call.outcome for call in calls.values())["error"] == 1
        lost = [call for call in calls.values() if call.outcome == "lost"]
        assert len(lost) == len(provider.requests) - 1 > 0
        assert all(call.is_estimate for call in lost)
        assert all(call.error.endswith("before the summary was given up") for call in lost)
        for request in provider.requests:
            call = calls[UUID(request.headers["x-client-request-id"])]
            assert call.estimated_prompt_tokens >= request.prompt_tokens

    @pytest.mark.django_db(transaction=True)
    def test_the_answer_for_a_cancelled_summary_is_counted(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        def cancel(exchange: Exchange) -> None:
            Summary.objects.get(pk=summary.pk).cancel()
            connection.close()
            answer()(exchange)

        provider.default = cancel
        job = run(summary.pk)
        assert job.status == JobStatus.CANCELLED
        call = ProviderCall.objects.get()
        assert (call.outcome, call.is_estimate) == ("ok", False)
        assert call.prompt_tokens == job.prompt_tokens == provider.tokens("prompt_tokens") > 0
        assert call.cost_usd == job.cost_usd > 0


class TestReconcile:
    @pytest.fixture
    def calls(self, owner: User) -> list[ProviderCall]:
        fields = {"company": owner.company, "user": owner, "model": "gpt-4o-mini", "attempt": 1}
        estimate = {"is_estimate": True, "estimated_cost_usd": "0.01"}
        return [
            ProviderCall.objects.create(**fields, outcome="lost", **estimate),
            ProviderCall.objects.create(**fields, outcome="timeout", **estimate),
            ProviderCall.objects.create(
                **fields, outcome="ok", prompt_tokens=5, completion_tokens=1
            ),
            ProviderCall.objects.create(**fields, outcome="lost", **estimate),
            ProviderCall.objects.create(**fields, outcome="error", status=500),
            ProviderCall.objects.create(**fields),
        ]

    def write_export(self, path: Path, *lines: str) -> str:
        path.write_text("\n".join(("id,prompt_tokens,completion_tokens,cached_tokens", *lines)))
        return str(path)

    def test_the_exported_usage_replaces_estimates_and_fills_gaps(
        self, calls: list[ProviderCall], tmp_path: Path
    ) -> None:
        pks = [calls[n].pk for n in (0, 1, 2, 4, 5)]
        lines = [f"{pk},1000,200,400" for pk in pks]
        export = self.write_export(tmp_path / "export.csv", *lines, f"{uuid7()},9,9,9")
        for count in ("3 calls", "0 calls"):
            out = StringIO()
            call_command("reconcile_calls", export, stdout=out)
            assert out.getvalue().startswith(f"Stored the usage of {count}.")
            assert "1 of 6 ids do not exist in the ledger." in out.getvalue()
        columns = ("outcome", "prompt_tokens", "cost_usd", "is_estimate")
        rows = ProviderCall.objects.order_by("pk").values_list(*columns)
        cost = Decimal("0.00024")
        assert list(rows) == [
            ("lost", 1000, cost, False),
            ("timeout", 1000, cost, False),
            ("ok", 5, 0, False),
            ("lost", 0, 0, True),
            ("error", 1000, cost, False),
            ("open", 0, 0, False),
        ]

    def test_a_call_and_the_sums_of_its_summary_are_stored_together(
        self, calls: list[ProviderCall], summary: Summary, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ProviderCall.objects.update(summary=summary)
        Summary.objects.update(started_at=Now() - timedelta(hours=1))

        def fail_update(_: Summary) -> None:
            raise RuntimeError

        with monkeypatch.context() as patch:
            patch.setattr(Summary, "update_usage", fail_update)
            with pytest.raises(RuntimeError):
                reconcile({calls[0].pk: Usage(1000, 200, 400)})
        assert ProviderCall.objects.get(pk=calls[0].pk).is_estimate
        assert reconcile({calls[0].pk: Usage(1000, 200, 400)}) == (1, 0)
        summary.refresh_from_db()
        assert (summary.prompt_tokens, summary.cost_usd) == (1005, Decimal("0.00024"))

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("x,1,2,3", "id: 'x' is not a UUID"),
            ("{0},1,2,3", "id: {0} occurs twice"),
            ("{1},many,2,3", "prompt_tokens: 'many'"),
            ("{1},,2,3", "prompt_tokens: ''"),
            ("{1},1", "completion_tokens: ''"),
            ("{1},1,-2,3", "completion_tokens: '-2'"),
            ("{1},1,99999999999999,3", "completion_tokens: '99999999999999'"),
            ("{1},1,2,3.5", "cached_tokens: '3.5'"),
            ("{1},1,2,3", "cached_tokens: '3' is not a whole number from 0 to 1"),
            ("{1},1,200,2,3", "more cells than the header"),
        ],
    )
    def test_an_invalid_row_is_reported_and_nothing_is_stored(
        self, calls: list[ProviderCall], tmp_path: Path, line: str, message: str
    ) -> None:
        pks = [call.pk for call in calls]
        export = self.write_export(tmp_path / "export.csv", f"{pks[0]},1,2,0", line.format(*pks))
        with pytest.raises(CommandError) as raised:
            call_command("reconcile_calls", export)
        assert str(raised.value).startswith("Line 3, ")
        assert message.format(*pks) in str(raised.value)
        assert not ProviderCall.objects.filter(outcome="lost", prompt_tokens__gt=0).exists()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"id,prompt,completion\n", "lacks the columns prompt_tokens, completion_tokens"),
            (b"", "lacks the columns id, prompt_tokens"),
            (b"\x89PNG\r\n\x1a\n\xff\xfe", "not a CSV file in UTF-8"),
            (b'id,prompt_tokens,completion_tokens\n"a', "Line 2 is not valid CSV"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path: Path, content: bytes, message: str) -> None:
        (export := tmp_path / "export.csv").write_bytes(content)
        with pytest.raises(CommandError, match=message):
            call_command("reconcile_calls", str(export))

    def test_a_row_of_zeros_replaces_an_estimate(
        self, calls: list[ProviderCall], tmp_path: Path
    ) -> None:
        lines = [f"{calls[n].pk},0,0,0" for n in (0, 4)]
        export = self.write_export(tmp_path / "export.csv", *lines)
        for count in (1, 0):
            out = StringIO()
            call_command("reconcile_calls", export, stdout=out)
            assert out.getvalue() == f"Stored the usage of {count} calls.\n"
        calls[0].refresh_from_db()
        assert (calls[0].is_estimate, calls[0].cost_usd) == (False, 0)


def test_the_cost_of_a_model_without_a_price_is_unknown(
    summary: Summary, provider: FakeProvider, run: Any, settings: Any, owner: User
) -> None:
    settings.OPENAI = settings.OPENAI | {"prices": {}}
    ai.summarizer.cache_clear()
    provider.then(server_error())
    job = run(summary.pk)
    assert (job.status, job.cost_usd, job.prompt_tokens > 0) == (JobStatus.COMPLETED, None, True)
    costs = ProviderCall.objects.values_list("cost_usd", "estimated_cost_usd")
    assert list(costs) == [(None, None)] * 2
    today = job.finished_at.date()
    (row,) = list_usage(owner, first=today, last=today)
    assert (row["calls"], row["cost_usd"]) == (2, None)
    assert compute_totals([row, {**row, "cost_usd": Decimal(2)}])["cost_usd"] == 2
