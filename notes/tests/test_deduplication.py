"""Deduplication: a company pays once for equal requests."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from accounts.models import User
from common import ai
from common.ai.types import CostEstimate
from common.jobs import Job, LostLease, runner
from common.jobs.status import JobStatus
from common.tests.support.ai_provider import Exchange, FakeProvider, answer, fail, rate_limited
from notes import deduplication, services
from notes.ledger import SummaryLedger
from notes.models import PartNotes, ProviderCall, Summary, SummaryOutcome, SummarySource
from notes.tests.factories import NoteFactory, TextSummaryFactory

URL = "/api/v1/summaries"
TEXT = "The pump failed on Monday. It was replaced on Tuesday. It has run well since."


@pytest.mark.django_db
class TestStoredSummary:
    def test_an_equal_request_reuses_it_at_no_cost(
        self, as_user: Any, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        provider.then(answer("The pump was replaced."))
        first = run(TextSummaryFactory(user=owner, text=TEXT).pk)
        second = run(TextSummaryFactory(user=owner, text=TEXT).pk)
        assert len(provider.requests) == ProviderCall.objects.count() == 1
        assert (first.cached, second.cached) == (False, True)
        assert (second.summary, second.model) == ("The pump was replaced.", "gpt-4o-mini")
        body = as_user(owner).get(f"{URL}/{second.pk}").json()
        assert (body["cached"], Decimal(body["cost_usd"])) == (True, 0)
        assert body["prompt_tokens"] == body["completion_tokens"] == 0
        assert list(SummaryOutcome.objects.order_by("pk").values_list("cached", flat=True)) == [
            False,
            True,
        ]

    @pytest.mark.parametrize(
        "other",
        [
            {"text": TEXT.replace(" It", "  It")},
            {"instructions": "Otherwise."},
            {"language": "German"},
            {"max_words": 21},
        ],
        ids=str,
    )
    def test_a_different_request_does_not_reuse_it(
        self, owner: User, provider: FakeProvider, run: Any, other: dict
    ) -> None:
        run(TextSummaryFactory(user=owner, text=TEXT).pk)
        second = run(TextSummaryFactory(**{"user": owner, "text": TEXT, **other}).pk)
        assert (len(provider.requests), second.cached) == (2, False)

    @pytest.mark.parametrize("around", [(" ", ""), ("", "\n"), ("\r\n\t", "\u00a0")], ids=str)
    def test_white_space_around_the_text_makes_no_difference(
        self, owner: User, provider: FakeProvider, run: Any, around: tuple[str, str]
    ) -> None:
        run(TextSummaryFactory(user=owner, text=TEXT).pk)
        second = run(TextSummaryFactory(user=owner, text=TEXT.join(around)).pk)
        assert (len(provider.requests), second.cached) == (1, True)

    @pytest.mark.parametrize(
        ("spellings", "asked"),
        [
            (["German", "de", "GERMAN", "deutsch", " Deutsch "], "German"),
            (["日本語", "ja"], "Japanese"),
            (["de-AT", "de-at"], "de-AT"),
            (["Klingon", "klingon"], "Klingon"),
        ],
    )
    def test_the_spelling_of_a_language_makes_no_difference(
        self, owner: User, provider: FakeProvider, run: Any, spellings: list[str], asked: str
    ) -> None:
        rows = [
            run(TextSummaryFactory(user=owner, text=TEXT, language=language).pk)
            for language in spellings
        ]
        assert [row.language for row in rows] == spellings
        assert [row.cached for row in rows] == [False] + [True] * (len(rows) - 1)
        (request,) = provider.requests
        assert f"in this language: {asked}." in request.system

    def test_another_model_does_not_reuse_it(
        self, owner: User, provider: FakeProvider, run: Any, settings: Any
    ) -> None:
        run(TextSummaryFactory(user=owner, text=TEXT).pk)
        with use_another_model(settings):
            assert run(TextSummaryFactory(user=owner, text=TEXT).pk).cached is False

    def test_another_company_does_not_reuse_it(
        self, owner: User, outsider: User, provider: FakeProvider, run: Any
    ) -> None:
        run(TextSummaryFactory(user=owner, text=TEXT).pk)
        assert run(TextSummaryFactory(user=outsider, text=TEXT).pk).cached is False
        assert len(provider.requests) == 2

    def test_a_notes_own_summary_is_reused_too(
        self, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        run(NoteFactory(user=owner, raw_text=TEXT).own_summary.pk)
        assert run(NoteFactory(user=owner, raw_text=TEXT).own_summary.pk).cached is True

    def test_a_requeued_summary_is_made_again_and_then_reused(
        self, as_user: Any, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        note = NoteFactory(user=owner, raw_text=TEXT)
        provider.then(answer("First."), answer("Second."))
        run(note.own_summary.pk)
        as_user(owner).post(f"/api/v1/notes/{note.pk}/summarize")
        assert run(note.own_summary.pk).summary == "Second."
        third = run(TextSummaryFactory(user=owner, text=TEXT).pk)
        assert (third.summary, third.cached) == ("Second.", True)

    def test_a_failed_summary_is_not_reused(
        self, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        provider.then(fail(401))
        assert run(TextSummaryFactory(user=owner, text=TEXT).pk).status == JobStatus.FAILED
        assert run(TextSummaryFactory(user=owner, text=TEXT).pk).cached is False

    def test_a_deleted_summary_is_not_reused(
        self, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        services.delete_summary(run(TextSummaryFactory(user=owner, text=TEXT).pk), by=owner)
        assert run(TextSummaryFactory(user=owner, text=TEXT).pk).cached is False


@contextmanager
def use_another_model(settings: Any) -> Iterator[None]:
    settings.OPENAI = settings.OPENAI | {"model": "gpt-4o"}
    ai.summarizer.cache_clear()
    yield
    ai.summarizer.cache_clear()


@pytest.mark.django_db(transaction=True)
class TestSummaryInFlight:
    """While a run produces a summary, jobs with an equal request wait for it in the queue."""

    @pytest.fixture
    def duplicates(self, owner: User) -> tuple[Summary, Summary]:
        return TextSummaryFactory(user=owner, text=TEXT), TextSummaryFactory(user=owner, text=TEXT)

    @pytest.fixture
    def published(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Record the ids of published summaries."""
        ids: list[Any] = []

        def publish(job: Job) -> bool:
            ids.append(job.pk)
            return True

        monkeypatch.setattr(Job, "publish", publish)
        return ids

    def test_two_equal_jobs_make_one_call(
        self, duplicates: Any, provider: FakeProvider, published: list[Any]
    ) -> None:
        first, second = duplicates
        provider.then(during_request(lambda: runner.run(Summary, second.pk)))
        runner.run(Summary, first.pk)
        second.refresh_from_db()
        waiting = (second.status, second.attempts, second.started_at, second.error)
        assert waiting == (JobStatus.QUEUED, 0, None, "")
        assert published == [second.pk]
        runner.run(Summary, second.pk)
        second.refresh_from_db()
        assert (second.status, second.attempts, second.cached) == (JobStatus.COMPLETED, 1, True)
        assert len(provider.requests) == 1

    def test_a_job_that_waits_for_a_colleagues_looks_like_any_other(
        self, as_user: Any, owner: User, colleague: User, provider: FakeProvider
    ) -> None:
        first, second = (TextSummaryFactory(user=user, text=TEXT) for user in (owner, colleague))

        def read() -> dict[str, Any]:
            body: dict[str, Any] = as_user(colleague).get(f"{URL}/{second.pk}").json()
            return {name: value for name, value in body.items() if name != "updated_at"}

        before = read()
        provider.then(during_request(lambda: runner.run(Summary, second.pk)))
        runner.run(Summary, first.pk)
        assert read() == before
        runner.run(Summary, second.pk)
        assert len(provider.requests) == 1
        assert read()["cached"] is False
        assert read()["prompt_tokens"] == provider.tokens("prompt_tokens")

    def test_a_job_that_was_not_the_producer_publishes_nothing_at_its_end(
        self, duplicates: Any, owner: User, provider: FakeProvider, published: list[Any]
    ) -> None:
        for duplicate in duplicates:
            TextSummaryFactory(user=owner)
            runner.run(Summary, duplicate.pk)
        broken = TextSummaryFactory(user=owner, text="")
        SummarySource.objects.filter(summary=broken).update(file_type="pdf")
        runner.run(Summary, broken.pk)
        assert Summary.objects.filter(status=JobStatus.FAILED).get() == broken
        assert published == []

    def test_waiting_does_not_count_as_an_attempt(
        self, duplicates: Any, provider: FakeProvider
    ) -> None:
        first, second = duplicates

        def run_often() -> None:
            for _ in range(5):
                Summary.objects.filter(pk=second.pk).update(run_after=Now())
                runner.run(Summary, second.pk)

        provider.then(during_request(run_often))
        runner.run(Summary, first.pk)
        second.refresh_from_db()
        assert (second.status, second.attempts) == (JobStatus.QUEUED, 0)

    def test_the_next_job_produces_it_if_the_producer_fails(
        self, duplicates: Any, owner: User, provider: FakeProvider, published: list[Any]
    ) -> None:
        first, second = duplicates
        third = TextSummaryFactory(user=owner, text=TEXT)

        def wait() -> None:
            runner.run(Summary, second.pk)
            runner.run(Summary, third.pk)

        provider.then(during_request(wait, then=fail(401)))
        runner.run(Summary, first.pk)
        # Only one is published, because the other would have to wait again.
        assert published == [second.pk]
        runner.run(Summary, second.pk)
        assert published == [second.pk, third.pk]
        runner.run(Summary, third.pk)
        found = Summary.objects.order_by("pk").values_list("status", "cached")
        assert list(found) == [("failed", False), ("completed", False), ("completed", True)]
        assert len(provider.requests) == 2

    def test_the_producers_next_run_produces_it_if_its_worker_died(
        self, duplicates: Any, provider: FakeProvider, published: list[Any]
    ) -> None:
        first, second = duplicates
        dead_run = Summary.objects.claim(first.pk)
        request = ai.SummaryRequest(TEXT, dead_run.instructions, max_words=dead_run.max_words)
        assert (
            deduplication.find_or_reserve(
                dead_run, deduplication.compute_request_key(request, model="gpt-4o-mini")
            )
            is None
        )
        estimate = CostEstimate(100, 500, Decimal(1))
        SummaryLedger(dead_run).begin(model="gpt-4o-mini", attempt=1, estimate=estimate)
        runner.run(Summary, second.pk)
        Summary.objects.filter(pk=first.pk).update(lease_until=Now() - timedelta(seconds=1))
        runner.run(Summary, first.pk)
        first.refresh_from_db()
        assert (first.status, first.attempts, first.cached) == ("completed", 2, False)
        assert list(ProviderCall.objects.order_by("pk").values_list("outcome", flat=True)) == [
            "lost",
            "ok",
        ]
        assert published == [second.pk]

    def test_the_next_job_produces_it_if_the_producer_is_deleted(
        self, duplicates: Any, owner: User, provider: FakeProvider, published: list[Any]
    ) -> None:
        first, second = duplicates

        def wait_and_delete_producer() -> None:
            runner.run(Summary, second.pk)
            services.delete_summary(Summary.objects.get(pk=first.pk), by=owner)

        provider.then(during_request(wait_and_delete_producer))
        runner.run(Summary, first.pk)
        assert published == [second.pk]
        assert ProviderCall.objects.get().outcome == "ok"

    def test_a_job_is_published_if_the_producer_ends_while_it_begins_to_wait(
        self, duplicates: Any, published: list[Any]
    ) -> None:
        """The producer looks for waiting jobs just before this one begins to wait."""
        first, second = duplicates
        producer, waiting = (Summary.objects.claim(duplicate.pk) for duplicate in (first, second))
        Summary.objects.filter(pk=waiting.pk).update(in_flight_key="k")
        waiting.in_flight_key = "k"
        producer.finish(summary="Done.", result_key="k")
        waiting.postpone(delay=15)
        assert published == [second.pk]
        assert Summary.objects.due().filter(pk=second.pk).exists()


@pytest.mark.django_db
class TestPartNotes:
    """Notes on the parts of a long text are kept, so that a later attempt need not pay for them."""

    @pytest.fixture
    def summary(self, owner: User, provider: FakeProvider, settings: Any) -> Summary:
        settings.OPENAI = settings.OPENAI | {"context_tokens": 4000, "concurrency": 1}
        text = "".join(f"Pump {n} failed. It was replaced. It runs well.\n\n" for n in range(900))
        return TextSummaryFactory(user=owner, text=text)

    def test_are_kept_after_a_failed_attempt_for_the_next(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        provider.then(answer(), answer(), rate_limited(120))
        assert run(summary.pk).status == JobStatus.QUEUED
        assert summary.part_notes.count() == 2
        Summary.objects.filter(pk=summary.pk).update(run_after=Now())
        job = run(summary.pk)
        assert (job.status, job.attempts, job.progress) == (JobStatus.COMPLETED, 2, 1)
        answered = [r.document for r in provider.requests if r.status == 200]
        assert len(answered) == len(set(answered)) > 4
        assert job.prompt_tokens == provider.tokens("prompt_tokens")
        assert not summary.part_notes.exists()

    @pytest.mark.parametrize("repeated_by", ["a retry", "its user", "a colleague"])
    def test_of_a_failed_summary_are_used_by_an_equal_request(
        self, summary: Summary, provider: FakeProvider, run: Any, colleague: User, repeated_by: str
    ) -> None:
        provider.then(answer(), fail(401))
        job = run(summary.pk)
        assert (job.status, summary.part_notes.count()) == (JobStatus.FAILED, 1)
        if repeated_by == "a retry":
            job.requeue()
        else:
            user = colleague if repeated_by == "a colleague" else job.user
            job = TextSummaryFactory(user=user, text=summary.source.text)
        assert run(job.pk).status == JobStatus.COMPLETED
        assert not PartNotes.objects.exists()
        answered = [r.document for r in provider.requests if r.status == 200]
        assert len(answered) == len(set(answered))

    def test_are_made_again_for_a_requeued_summary(
        self, summary: Summary, provider: FakeProvider, owner: User, run: Any
    ) -> None:
        job = run(summary.pk)
        first = len(provider.requests)
        services.requeue_summary(job, by=owner)
        run(summary.pk)
        assert len(provider.requests) == 2 * first

    def test_are_not_used_by_another_company(
        self, summary: Summary, provider: FakeProvider, run: Any, outsider: User
    ) -> None:
        provider.then(answer(), fail(401))
        run(summary.pk)
        kept = len(provider.requests) - 1
        run(TextSummaryFactory(user=outsider, text=summary.source.text).pk)
        documents = [r.document for r in provider.requests if r.status == 200]
        assert len(documents) - len(set(documents)) == kept
        assert summary.part_notes.count() == 1

    @pytest.mark.parametrize("failure", [rate_limited(120), fail(401)])
    def test_are_deleted_when_the_summary_is_cancelled(
        self, summary: Summary, provider: FakeProvider, run: Any, failure: Any
    ) -> None:
        provider.then(answer(), failure)
        job = run(summary.pk)
        assert summary.part_notes.count() == 1
        if job.status == JobStatus.FAILED:
            job.requeue()
        assert job.cancel()
        assert not summary.part_notes.exists()

    def test_are_deleted_when_the_text_of_the_note_changes(
        self, owner: User, provider: FakeProvider, run: Any, summary: Summary
    ) -> None:
        note = NoteFactory(user=owner, raw_text=summary.source.text)
        provider.then(answer(), fail(401))
        assert run(note.own_summary.pk).part_notes.count() == 1
        services.update_note(note, by=owner, raw_text="Another text.")
        assert not PartNotes.objects.exists()

    def test_are_not_stored_for_a_run_that_has_lost_its_lease(self, summary: Summary) -> None:
        dead_run = Summary.objects.claim(summary.pk)
        Summary.objects.filter(pk=summary.pk).update(run_id=None)
        with pytest.raises(LostLease):
            SummaryLedger(dead_run).save_notes("a" * 64, "It failed.")
        assert not summary.part_notes.exists()


def during_request(act: Callable[[], object], then: Any = None) -> Callable[[Exchange], None]:
    """Call `act` in another thread while the provider handles a request, then answer."""

    def behave(exchange: Exchange) -> None:
        done = threading.Thread(target=lambda: (act(), connection.close()))
        done.start()
        done.join()
        (then or answer())(exchange)

    return behave
