"""Each request to the provider is a row, whatever becomes of it."""

from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from accounts.models import User
from common.ids import uuid7
from common.jobs import LostLease
from common.jobs.handlers import perform
from common.jobs.models import JobStatus
from common.tests.support.ai_provider import (
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
from notes.ledger import Ledger
from notes.models import Call, Summary
from notes.tasks import close_lost_calls
from notes.tests.factories import TextSummaryFactory

pytestmark = pytest.mark.django_db
TEXT = "The pump failed on Monday. It was replaced on Tuesday. It has run well since."


@pytest.fixture
def summary(owner: User) -> Summary:
    return TextSummaryFactory(user=owner, text=TEXT)


def outcomes() -> list[tuple[str, int | None, int]]:
    return list(Call.objects.order_by("pk").values_list("outcome", "status", "attempt"))


def agrees_with(provider: FakeProvider) -> bool:
    """Row by row, by the ids that the requests carried."""
    told = {r.headers["x-client-request-id"]: r for r in provider.requests}
    calls = Call.objects.in_bulk()
    assert set(told) == {str(pk) for pk in calls}
    for pk, call in calls.items():
        usage = told[str(pk)].usage or {}
        if call.outcome == "ok":
            assert call.prompt_tokens == usage["prompt_tokens"]
            assert call.completion_tokens == usage["completion_tokens"]
    return True


class TestTrouble:
    @pytest.mark.parametrize(
        ("failure", "outcome", "status"),
        [
            (rate_limited(0), "rate_limited", 429),
            (server_error(), "error", 500),
            (cut_off(), "invalid", None),
            (garbage(), "invalid", 200),
        ],
    )
    def test_that_passes(
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
        assert agrees_with(provider)
        assert job.prompt_tokens == provider.tokens("prompt_tokens")
        assert job.cost_usd == sum(Call.objects.values_list("cost_usd", flat=True)) > 0

    @pytest.mark.parametrize(
        ("failure", "reason"),
        [
            (fail(401), "the provider refused our key (401)"),
            (refusal(), "the provider declined to summarise this text"),
        ],
    )
    def test_that_is_final(
        self, summary: Summary, provider: FakeProvider, run: Any, failure: Any, reason: str
    ) -> None:
        provider.default = failure
        job = run(summary.pk)
        assert (job.status, job.error, job.attempts) == (JobStatus.FAILED, reason, 1)
        assert len(provider.requests) == Call.objects.count() == 1
        assert job.prompt_tokens == Call.objects.get().prompt_tokens

    def test_that_lasts_is_tried_later(
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

    def test_of_a_provider_that_hangs(
        self, summary: Summary, provider: FakeProvider, run: Any, settings: Any
    ) -> None:
        from common import ai

        settings.OPENAI = settings.OPENAI | {"timeout": 0.2}
        ai.summarizer.cache_clear()
        provider.default = slow(20)
        job = run(summary.pk)
        assert (job.status, job.error) == (
            JobStatus.QUEUED,
            "the provider did not answer within 0.2 seconds",
        )
        assert outcomes() == [("timeout", None, 1)]
        assert 200 <= Call.objects.get().duration_ms < 2000

    def test_wrong_figures_are_not_believed(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        provider.default = answer(usage={"prompt_tokens": -5, "completion_tokens": 10**30})
        run(summary.pk)
        call = Call.objects.get()
        assert 100 < call.prompt_tokens < 1000
        assert 3 <= call.completion_tokens < 50
        assert 0 < call.cost_usd < Decimal("0.001")

    def test_all_kinds_of_tokens_are_kept(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        figures = {
            "prompt_tokens": 1000,
            "completion_tokens": 200,
            "prompt_tokens_details": {"cached_tokens": 600},
            "completion_tokens_details": {"reasoning_tokens": 150},
        }
        provider.default = answer("Tea.", usage=figures)
        job = run(summary.pk)
        call = Call.objects.get()
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
        asked = client.post("/api/v1/summaries", {"text": text, "max_words": 200}).json()
        assert asked["text_length"] == len(text) > 700_000
        job = run(asked["id"])
        assert (job.status, job.progress, job.omitted) == (JobStatus.COMPLETED, 1, "")
        seen = "".join(r.document for r in provider.requests if "dense notes" in r.system)
        assert all(f"Fact number {n:04} is here." in seen for n in range(1500))
        assert agrees_with(provider)
        assert job.prompt_tokens == provider.tokens("prompt_tokens")
        assert job.completion_tokens == provider.tokens("completion_tokens")

    def test_what_is_left_out_is_told(
        self, as_user: Any, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        provider.default = answer("We had tea. It was good. Bob left.")
        client = as_user(owner)
        asked = client.post("/api/v1/summaries", {"text": TEXT, "max_words": 6}).json()
        run(asked["id"])
        body = client.get(f"/api/v1/summaries/{asked['id']}").json()
        assert body["summary"] == "We had tea. It was good."
        assert body["omitted"] == "the end of an answer that was longer than 6 words"

    def test_each_part_renews_the_lease(
        self, owner: User, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[float] = []
        renew = Summary.renew

        def watched(job: Summary, **figures: Any) -> None:
            told.extend(figures.values())
            renew(job, **figures)

        monkeypatch.setattr(Summary, "renew", watched)
        summary = TextSummaryFactory(user=owner, text="A pump is a pump. " * 12_000)
        perform(Summary.objects.claim(summary.pk))
        assert len(told) == len(provider.requests) > 3
        assert (told, told[-1]) == (sorted(told), 1)


class TestBegin:
    def test_nothing_is_asked_for_a_run_that_is_over(
        self, summary: Summary, provider: FakeProvider
    ) -> None:
        job = Summary.objects.claim(summary.pk)
        Summary.objects.get(pk=summary.pk).cancel()
        with pytest.raises(LostLease):
            Ledger(job).begin(model="gpt-4o-mini", attempt=1)
        assert not Call.objects.exists()

    def test_a_cancelled_run_asks_no_more(self, summary: Summary, provider: FakeProvider) -> None:
        job = Summary.objects.claim(summary.pk)
        provider.then(server_error())
        end = Ledger.end

        def end_then_cancel(ledger: Ledger, handle: object, call: Any) -> None:
            end(ledger, handle, call)
            Summary.objects.get(pk=summary.pk).cancel()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ledger, "end", end_then_cancel)
            with pytest.raises(LostLease):
                perform(job)
        assert len(provider.requests) == 1
        assert outcomes() == [("error", 500, 1)]


class TestLost:
    def test_a_call_of_a_run_that_died_is_lost_with_its_end(self, summary: Summary) -> None:
        job = Summary.objects.claim(summary.pk)
        Ledger(job).begin(model="gpt-4o-mini", attempt=1)
        job.fail("Its worker died.")
        assert outcomes() == [("lost", None, 1)]

    def test_one_that_was_only_paused_puts_down_its_figures_after_all(
        self, summary: Summary, provider: FakeProvider
    ) -> None:
        job = Summary.objects.claim(summary.pk)
        handle = Ledger(job).begin(model="gpt-4o-mini", attempt=1)
        Call.objects.lose()
        from common.ai.types import Call as Answered

        Ledger(job).end(handle, Answered("gpt-4o-mini", "ok", 200, 1, prompt_tokens=7))
        call = Call.objects.get()
        assert (call.outcome, call.prompt_tokens, call.error) == ("ok", 7, "")

    def test_a_deleted_summarys_open_calls_are_closed_in_time(self, summary: Summary) -> None:
        job = Summary.objects.claim(summary.pk)
        Ledger(job).begin(model="gpt-4o-mini", attempt=1)
        summary.delete()
        assert close_lost_calls() == 0
        Call.objects.update(started_at=Now() - timedelta(hours=1))
        assert close_lost_calls() == 1
        assert outcomes() == [("lost", None, 1)]


class TestReconcile:
    """The provider's own books tell of what nobody read."""

    @pytest.fixture
    def calls(self, owner: User) -> list[Call]:
        who = {"company": owner.company, "user": owner, "model": "gpt-4o-mini", "attempt": 1}
        return [
            Call.objects.create(**who, outcome="lost"),
            Call.objects.create(**who, outcome="timeout"),
            Call.objects.create(**who, outcome="ok", prompt_tokens=5, completion_tokens=1),
            Call.objects.create(**who, outcome="lost"),
        ]

    def books(self, path: Path, *lines: str) -> str:
        path.write_text("\n".join(("id,prompt_tokens,completion_tokens,cached_tokens", *lines)))
        return str(path)

    def test_fills_in_what_was_not_read(self, calls: list[Call], tmp_path: Path) -> None:
        lines = [f"{call.pk},1000,200,400" for call in calls[:3]]
        books = self.books(tmp_path / "books.csv", *lines, f"{uuid7()},9,9,9")
        for told in ("2 calls", "0 calls"):
            out = StringIO()
            call_command("reconcile_calls", books, stdout=out)
            assert out.getvalue().startswith(told)
            assert "1 of 4 ids are no call" in out.getvalue()
        figures = Call.objects.order_by("pk").values_list("outcome", "prompt_tokens", "cost_usd")
        cost = Decimal("0.00024")
        assert list(figures) == [
            ("lost", 1000, cost),
            ("timeout", 1000, cost),
            ("ok", 5, 0),
            ("lost", 0, 0),
        ]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("x,1,2,3", "id: 'x' is no UUID"),
            ("{0},1,2,3", "id: {0} is there twice"),
            ("{1},many,2,3", "prompt_tokens: 'many'"),
            ("{1},,2,3", "prompt_tokens: ''"),
            ("{1},1", "completion_tokens: ''"),
            ("{1},1,-2,3", "completion_tokens: '-2'"),
            ("{1},1,99999999999999,3", "completion_tokens: '99999999999999'"),
            ("{1},1,2,3.5", "cached_tokens: '3.5'"),
            ("{1},1,2,3", "cached_tokens: '3' is no number of tokens from 0 to 1"),
            ("{1},1,200,2,3", "more cells than the header"),
        ],
    )
    def test_a_bad_row_is_named_and_nothing_written(
        self, calls: list[Call], tmp_path: Path, line: str, said: str
    ) -> None:
        pks = [call.pk for call in calls]
        books = self.books(tmp_path / "books.csv", f"{pks[0]},1,2,0", line.format(*pks))
        with pytest.raises(CommandError) as raised:
            call_command("reconcile_calls", books)
        assert str(raised.value).startswith("Line 3, ")
        assert said.format(*pks) in str(raised.value)
        assert not Call.objects.filter(outcome="lost", prompt_tokens__gt=0).exists()

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"id,prompt,completion\n", "no prompt_tokens, completion_tokens"),
            (b"", "no id, prompt_tokens"),
            (b"\x89PNG\r\n\x1a\n\xff\xfe", "no CSV file in UTF-8"),
            (b'id,prompt_tokens,completion_tokens\n"a', "Line 2 is no CSV"),
        ],
    )
    def test_refuses_other_files(self, tmp_path: Path, content: bytes, said: str) -> None:
        (books := tmp_path / "books.csv").write_bytes(content)
        with pytest.raises(CommandError, match=said):
            call_command("reconcile_calls", str(books))

    def test_a_row_without_tokens_is_no_figure(self, calls: list[Call], tmp_path: Path) -> None:
        out = StringIO()
        books = self.books(tmp_path / "books.csv", f"{calls[0].pk},0,0,0")
        call_command("reconcile_calls", books, stdout=out)
        assert out.getvalue() == "0 calls have figures now that had none.\n"
