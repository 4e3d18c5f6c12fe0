"""The same text is not paid for twice."""

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
from common.jobs import LostLease, runner
from common.jobs.models import JobStatus
from common.tests.support.ai_provider import Exchange, FakeProvider, answer, fail, rate_limited
from notes import deduplication, services
from notes.ledger import CallLedger
from notes.models import Outcome, Part, ProviderCall, Source, Summary
from notes.tests.factories import NoteFactory, TextSummaryFactory

URL = "/api/v1/summaries"
TEXT = "The pump failed on Monday. It was replaced on Tuesday. It has run well since."


@pytest.mark.django_db
class TestOneAfterTheOther:
    def test_the_second_costs_nothing(
        self, as_user: Any, owner: User, colleague: User, provider: FakeProvider, run: Any
    ) -> None:
        provider.then(answer("The pump was replaced."))
        first = run(TextSummaryFactory(user=owner, text=TEXT).pk)
        second = run(TextSummaryFactory(user=colleague, text=TEXT).pk)
        assert len(provider.requests) == ProviderCall.objects.count() == 1
        assert (first.cached, second.cached) == (False, True)
        assert (second.summary, second.model) == ("The pump was replaced.", "gpt-4o-mini")
        body = as_user(colleague).get(f"{URL}/{second.pk}").json()
        assert (body["cached"], Decimal(body["cost_usd"])) == (True, 0)
        assert body["prompt_tokens"] == body["completion_tokens"] == 0
        assert list(Outcome.objects.order_by("pk").values_list("cached", flat=True)) == [
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
    def test_what_differs_is_made(
        self, owner: User, provider: FakeProvider, run: Any, other: dict
    ) -> None:
        run(TextSummaryFactory(user=owner, text=TEXT).pk)
        second = run(TextSummaryFactory(**{"user": owner, "text": TEXT, **other}).pk)
        assert (len(provider.requests), second.cached) == (2, False)

    @pytest.mark.parametrize("around", [(" ", ""), ("", "\n"), ("\r\n\t", "\u00a0")], ids=str)
    def test_white_space_around_a_text_is_no_other_text(
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
    def test_a_language_in_other_spellings_is_the_same(
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

    def test_another_model_makes_it_anew(
        self, owner: User, provider: FakeProvider, run: Any, settings: Any
    ) -> None:
        run(TextSummaryFactory(user=owner, text=TEXT).pk)
        with another_model(settings):
            assert run(TextSummaryFactory(user=owner, text=TEXT).pk).cached is False

    def test_another_company_knows_nothing_of_it(
        self, owner: User, outsider: User, provider: FakeProvider, run: Any
    ) -> None:
        run(TextSummaryFactory(user=owner, text=TEXT).pk)
        assert run(TextSummaryFactory(user=outsider, text=TEXT).pk).cached is False
        assert len(provider.requests) == 2

    def test_a_notes_own_summary_is_one_of_them(
        self, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        run(NoteFactory(user=owner, raw_text=TEXT).job.pk)
        assert run(NoteFactory(user=owner, raw_text=TEXT).job.pk).cached is True

    def test_one_that_was_asked_for_again_is_made_anew(
        self, as_user: Any, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        note = NoteFactory(user=owner, raw_text=TEXT)
        provider.then(answer("First."), answer("Second."))
        run(note.job.pk)
        as_user(owner).post(f"/api/v1/notes/{note.pk}/summarize")
        assert run(note.job.pk).summary == "Second."
        third = run(TextSummaryFactory(user=owner, text=TEXT).pk)
        assert (third.summary, third.cached) == ("Second.", True)

    def test_what_failed_is_no_result(self, owner: User, provider: FakeProvider, run: Any) -> None:
        provider.then(fail(401))
        assert run(TextSummaryFactory(user=owner, text=TEXT).pk).status == JobStatus.FAILED
        assert run(TextSummaryFactory(user=owner, text=TEXT).pk).cached is False

    def test_with_its_last_copy_a_result_is_gone(
        self, owner: User, provider: FakeProvider, run: Any
    ) -> None:
        services.delete_summary(run(TextSummaryFactory(user=owner, text=TEXT).pk), by=owner)
        assert run(TextSummaryFactory(user=owner, text=TEXT).pk).cached is False


@contextmanager
def another_model(settings: Any) -> Iterator[None]:
    settings.OPENAI = settings.OPENAI | {"model": "gpt-4o"}
    ai.summarizer.cache_clear()
    yield
    ai.summarizer.cache_clear()


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """While a run makes a summary, others that want the same wait for it in the queue."""

    @pytest.fixture
    def twins(self, owner: User) -> tuple[Summary, Summary]:
        return TextSummaryFactory(user=owner, text=TEXT), TextSummaryFactory(user=owner, text=TEXT)

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """The ids of summaries whose message was published."""
        ids: list[Any] = []

        def publish(label: str, pk: Any, **_: Any) -> bool:
            ids.append(pk)
            return True

        monkeypatch.setattr("common.jobs.models.publish", publish)
        return ids

    def test_two_make_one_call(self, twins: Any, provider: FakeProvider, sent: list[Any]) -> None:
        first, second = twins
        provider.then(meanwhile(lambda: runner.run(Summary, second.pk)))
        runner.run(Summary, first.pk)
        second.refresh_from_db()
        waiting = (second.status, second.attempts, second.started_at, second.error)
        assert waiting == (JobStatus.QUEUED, 0, None, "")
        assert sent == [second.pk]  # woken by the end of the first
        runner.run(Summary, second.pk)
        second.refresh_from_db()
        assert (second.status, second.attempts, second.cached) == (JobStatus.COMPLETED, 1, True)
        assert len(provider.requests) == 1

    def test_who_finds_a_result_and_who_fails_before_wake_nobody(
        self, twins: Any, owner: User, provider: FakeProvider, sent: list[Any]
    ) -> None:
        for twin in twins:
            TextSummaryFactory(user=owner)
            runner.run(Summary, twin.pk)
        broken = TextSummaryFactory(user=owner, text="")
        Source.objects.filter(summary=broken).update(kind="pdf")
        runner.run(Summary, broken.pk)
        assert Summary.objects.filter(status=JobStatus.FAILED).get() == broken
        assert sent == []

    def test_waiting_uses_up_no_tries(self, twins: Any, provider: FakeProvider) -> None:
        first, second = twins

        def try_often() -> None:
            for _ in range(5):
                Summary.objects.filter(pk=second.pk).update(run_after=Now())
                runner.run(Summary, second.pk)

        provider.then(meanwhile(try_often))
        runner.run(Summary, first.pk)
        second.refresh_from_db()
        assert (second.status, second.attempts) == (JobStatus.QUEUED, 0)

    def test_where_the_maker_fails_the_next_makes_it(
        self, twins: Any, owner: User, provider: FakeProvider, sent: list[Any]
    ) -> None:
        first, second = twins
        third = TextSummaryFactory(user=owner, text=TEXT)

        def wait() -> None:
            runner.run(Summary, second.pk)
            runner.run(Summary, third.pk)

        provider.then(meanwhile(wait, then=fail(401)))
        runner.run(Summary, first.pk)
        assert sent == [second.pk]  # and not both, of whom one would wait again
        runner.run(Summary, second.pk)
        assert sent == [second.pk, third.pk]
        runner.run(Summary, third.pk)
        found = Summary.objects.order_by("pk").values_list("status", "cached")
        assert list(found) == [("failed", False), ("completed", False), ("completed", True)]
        assert len(provider.requests) == 2

    def test_where_the_makers_worker_died_its_next_run_makes_it(
        self, twins: Any, provider: FakeProvider, sent: list[Any]
    ) -> None:
        first, second = twins
        dead = Summary.objects.claim(first.pk)
        request = ai.SummaryRequest(TEXT, dead.instructions, max_words=dead.max_words)
        assert (
            deduplication.find_or_take(dead, deduplication.key_of(request, model="gpt-4o-mini"))
            is None
        )
        estimate = CostEstimate(100, 500, Decimal(1))
        CallLedger(dead).begin(model="gpt-4o-mini", attempt=1, estimate=estimate)
        runner.run(Summary, second.pk)
        Summary.objects.filter(pk=first.pk).update(lease_until=Now() - timedelta(seconds=1))
        runner.run(Summary, first.pk)
        first.refresh_from_db()
        assert (first.status, first.attempts, first.cached) == ("completed", 2, False)
        assert list(ProviderCall.objects.order_by("pk").values_list("outcome", flat=True)) == [
            "lost",
            "ok",
        ]
        assert sent == [second.pk]

    def test_where_the_maker_is_deleted_the_next_makes_it(
        self, twins: Any, owner: User, provider: FakeProvider, sent: list[Any]
    ) -> None:
        first, second = twins

        def wait_then_delete() -> None:
            runner.run(Summary, second.pk)
            services.delete_summary(Summary.objects.get(pk=first.pk), by=owner)

        provider.then(meanwhile(wait_then_delete))
        runner.run(Summary, first.pk)
        assert sent == [second.pk]
        assert ProviderCall.objects.get().outcome == "ok"

    def test_a_maker_that_ends_as_one_begins_to_wait_is_noticed(
        self, twins: Any, sent: list[Any]
    ) -> None:
        """Its end looked for who waits just before."""
        first, second = twins
        maker, waiter = (Summary.objects.claim(twin.pk) for twin in (first, second))
        Summary.objects.filter(pk=waiter.pk).update(making="k")
        waiter.making = "k"
        maker.finish(summary="Done.", key="k")
        waiter.postpone(delay=15)
        assert sent == [second.pk]
        assert Summary.objects.due().filter(pk=second.pk).exists()


@pytest.mark.django_db
class TestPartsOfALongText:
    """A further try pays only for what is missing."""

    @pytest.fixture
    def summary(self, owner: User, provider: FakeProvider, settings: Any) -> Summary:
        settings.OPENAI = settings.OPENAI | {"context_tokens": 4000, "concurrency": 1}
        text = "".join(f"Pump {n} failed. It was replaced. It runs well.\n\n" for n in range(900))
        return TextSummaryFactory(user=owner, text=text)

    def test_are_kept_from_a_try_that_fails_to_the_next(
        self, summary: Summary, provider: FakeProvider, run: Any
    ) -> None:
        provider.then(answer(), answer(), rate_limited(120))
        assert run(summary.pk).status == JobStatus.QUEUED
        assert summary.parts.count() == 2
        Summary.objects.filter(pk=summary.pk).update(run_after=Now())
        job = run(summary.pk)
        assert (job.status, job.attempts, job.progress) == (JobStatus.COMPLETED, 2, 1)
        paid = [r.document for r in provider.requests if r.status == 200]
        assert len(paid) == len(set(paid)) > 4
        assert job.prompt_tokens == provider.tokens("prompt_tokens")
        assert not summary.parts.exists()

    @pytest.mark.parametrize("again", ["retried", "sent again", "sent by a colleague"])
    def test_are_there_when_one_that_failed_is_wanted_again(
        self, summary: Summary, provider: FakeProvider, run: Any, colleague: User, again: str
    ) -> None:
        provider.then(answer(), fail(401))
        job = run(summary.pk)
        assert (job.status, summary.parts.count()) == (JobStatus.FAILED, 1)
        if again == "retried":
            job.requeue()
        else:
            user = colleague if again == "sent by a colleague" else job.user
            job = TextSummaryFactory(user=user, text=summary.source.text)
        assert run(job.pk).status == JobStatus.COMPLETED
        assert not Part.objects.exists()
        paid = [r.document for r in provider.requests if r.status == 200]
        assert len(paid) == len(set(paid))

    def test_are_made_again_where_the_whole_is(
        self, summary: Summary, provider: FakeProvider, owner: User, run: Any
    ) -> None:
        job = run(summary.pk)
        first = len(provider.requests)
        services.summarize_again(job, by=owner)
        run(summary.pk)
        assert len(provider.requests) == 2 * first

    def test_are_not_for_another_company(
        self, summary: Summary, provider: FakeProvider, run: Any, outsider: User
    ) -> None:
        provider.then(answer(), fail(401))
        run(summary.pk)
        paid = len(provider.requests) - 1
        run(TextSummaryFactory(user=outsider, text=summary.source.text).pk)
        documents = [r.document for r in provider.requests if r.status == 200]
        assert len(documents) - len(set(documents)) == paid
        assert summary.parts.count() == 1

    @pytest.mark.parametrize("failure", [rate_limited(120), fail(401)])
    def test_go_with_a_summary_that_is_cancelled(
        self, summary: Summary, provider: FakeProvider, run: Any, failure: Any
    ) -> None:
        provider.then(answer(), failure)
        job = run(summary.pk)
        assert summary.parts.count() == 1
        if job.status == JobStatus.FAILED:
            job.requeue()
        assert job.cancel()
        assert not summary.parts.exists()

    def test_go_with_the_text_of_a_note(
        self, owner: User, provider: FakeProvider, run: Any, summary: Summary
    ) -> None:
        note = NoteFactory(user=owner, raw_text=summary.source.text)
        provider.then(answer(), fail(401))
        assert run(note.job.pk).parts.count() == 1
        services.update_note(note, by=owner, raw_text="Another text.")
        assert not Part.objects.exists()

    def test_are_not_kept_for_a_run_that_has_lost_its_lease(self, summary: Summary) -> None:
        dead = Summary.objects.claim(summary.pk)
        Summary.objects.filter(pk=summary.pk).update(run_id=None)
        with pytest.raises(LostLease):
            CallLedger(dead).save_notes("a" * 64, "It failed.")
        assert not summary.parts.exists()


def meanwhile(act: Callable[[], object], then: Any = None) -> Callable[[Exchange], None]:
    """Acts, in a thread and on a connection of its own, while a request is open."""

    def behave(exchange: Exchange) -> None:
        done = threading.Thread(target=lambda: (act(), connection.close()))
        done.start()
        done.join()
        (then or answer())(exchange)

    return behave
