"""Notes are summarised once although a worker, the broker or the provider fails.

Notes are posted to the API in this process. The module's broker, beat and worker are real; the
provider is a local server whose answers each test chooses.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from rest_framework.test import APIClient

from accounts.models import User
from common.jobs.status import JobStatus
from common.tests.support import Beat, Broker, Worker, block_updates, eventually, lock_table
from common.tests.support import ai_provider as ai
from notes.models import Note, Summary

pytestmark = pytest.mark.django_db(transaction=True)

COMPLETED, FAILED = JobStatus.COMPLETED, JobStatus.FAILED
PROVIDER_ATTEMPTS = "2"
MAX_POST_S = 3.0  # while the broker does not answer


class WordProvider(ai.FakeProvider):
    """A provider that answers by the first word of the text, as set in `on`."""

    def __init__(self) -> None:
        super().__init__(default=self._answer_by_word)
        self.on: dict[str, ai.Behaviour] = {}

    def _answer_by_word(self, exchange: ai.Exchange) -> None:
        self.on.get(exchange.document.split()[0], ai.answer())(exchange)

    def count_requests(self, word: str) -> int:
        return sum(request.document.startswith(word) for request in self.requests)


@pytest.fixture(scope="module")
def _provider() -> Iterator[WordProvider]:
    with WordProvider() as provider:
        yield provider


@pytest.fixture
def provider(_provider: WordProvider) -> Iterator[WordProvider]:
    yield _provider
    _provider.on.clear()
    _provider.requests.clear()


class WorkerManager:
    """The module's worker, replaced after a kill; `start` returns further workers."""

    def __init__(self, broker: Broker, folder: Path, provider: WordProvider) -> None:
        self._broker, self._folder = broker, folder
        self._environment = {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": provider.url,
            "OPENAI_TIMEOUT": "2",
            "OPENAI_ATTEMPTS": PROVIDER_ATTEMPTS,
        }
        self._stack = ExitStack()
        self._worker: Worker | None = None

    def start(self, **environment: str) -> Worker:
        settings = self._environment | environment
        return Worker(self._broker.url, self._folder, concurrency=3, environment=settings)

    def current(self) -> Worker:
        if self._worker is None or not self._worker.is_running:
            self._worker = self._stack.enter_context(self.start())
        return self._worker

    def kill_current(self) -> None:
        if self._worker is not None:
            self._worker.kill()

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def workers(
    django_db_blocker: Any, beat: Beat, broker: Broker, folder: Path, _provider: WordProvider
) -> Iterator[WorkerManager]:
    workers = WorkerManager(broker, folder, _provider)
    with django_db_blocker.unblock():
        yield workers
        workers.close()


@pytest.fixture
def client(as_user: Callable[[User], APIClient], owner: User, broker: Broker) -> APIClient:
    broker.client.flushall()
    return as_user(owner)


@pytest.fixture
def outsider_client(as_user: Callable[[User], APIClient], outsider: User) -> APIClient:
    return as_user(outsider)


def build_text(word: str) -> str:
    return f"{word} is what this note is about. The rest of it is about the weather."


def post_note(client: APIClient, word: str) -> Summary:
    """Post a note and return the job of its own summary."""
    response = client.post("/api/v1/notes", {"raw_text": build_text(word)})
    assert response.status_code == 201, response.content
    return Summary.objects.get(note_id=response.json()["id"])


def wait_for_status(job: Summary, status: JobStatus, *, within: float = 25) -> Summary:
    """Wait until the job is stored with `status` and return it."""
    rows = Summary.objects.filter(pk=job.pk, status=status)
    eventually(rows.exists, f"{job.note.raw_text.split()[0]} is {status}", within=within)
    job.refresh_from_db()
    return job


def completes(job: Summary, word: str, *, attempts: int) -> bool:
    """Wait for the end and check the number of attempts and the provider's default answer."""
    wait_for_status(job, COMPLETED)
    return (job.summary, job.attempts, job.error) == (
        ai.first_words(build_text(word)),
        attempts,
        "",
    )


def age_queued_jobs(seconds: float) -> None:
    """Move the times of all queued jobs into the past."""
    step = timedelta(seconds=seconds)
    waiting = Summary.objects.filter(status=JobStatus.QUEUED)
    waiting.update(run_after=F("run_after") - step, publish_after=F("publish_after") - step)


@contextmanager
def fail_at_commit() -> Iterator[None]:
    """Let the database accept new summaries but fail at their commit."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION fail_insert() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'refused at commit'; END $$;
            CREATE CONSTRAINT TRIGGER fail_insert AFTER INSERT ON notes_summary
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_insert();
            """
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER fail_insert ON notes_summary; DROP FUNCTION fail_insert")


def test_a_rolled_back_request_leaves_no_row_and_no_message(
    client: APIClient, broker: Broker
) -> None:
    with fail_at_commit():
        response = client.post("/api/v1/notes", {"raw_text": build_text("kettle")})
    assert response.status_code == 500
    assert (Note.objects.count(), Summary.objects.count(), broker.queue_length()) == (0, 0, 0)
    post_note(client, "kettle")
    assert (Note.objects.count(), Summary.objects.count(), broker.queue_length()) == (1, 1, 1)


def test_notes_of_a_killed_worker_are_completed_by_another(
    client: APIClient, workers: WorkerManager, provider: WordProvider
) -> None:
    """Killed after the claim, during the request, and before the summary is committed."""
    workers.kill_current()
    with workers.start(OPENAI_TIMEOUT="60") as worker:
        claimed = wait_for_status(post_note(client, "claimed"), COMPLETED)
        provider.on["asking"] = ai.slow(60)
        asking = post_note(client, "asking")
        eventually(lambda: provider.count_requests("asking"), "the provider has the request")
        with block_updates(Summary, "NEW.status = 'completed'"):
            writing = post_note(client, "writing")
            eventually(lambda: worker.lock_wait_count() == 1, "the summary is about to be stored")
            with lock_table(Note):
                claimed.requeue()
                eventually(lambda: worker.lock_wait_count() == 2, "the note is about to be read")
                worker.kill()
    assert set(Summary.objects.values_list("status", "attempts")) == {(JobStatus.IN_PROGRESS, 1)}
    provider.on.clear()
    workers.current()
    assert completes(claimed, "claimed", attempts=2)
    assert completes(asking, "asking", attempts=2)
    assert completes(writing, "writing", attempts=2)


def test_five_messages_for_one_job_make_one_summary(
    client: APIClient, broker: Broker, workers: WorkerManager, provider: WordProvider
) -> None:
    with workers.current().suspend():
        job = post_note(client, "kettle")
        assert all(job.publish() for _ in range(4))
    assert completes(job, "kettle", attempts=1)
    eventually(
        lambda: not broker.queue_length() and not broker.unacknowledged_count(),
        "all messages are consumed",
    )
    assert completes(job, "kettle", attempts=1)
    assert provider.count_requests("kettle") == 1


def test_equal_texts_at_the_same_time_make_one_call(
    client: APIClient, workers: WorkerManager, provider: WordProvider
) -> None:
    workers.current()
    provider.on["kettle"] = ai.slow(1)
    jobs = [post_note(client, "kettle") for _ in range(3)]
    assert all(completes(job, "kettle", attempts=1) for job in jobs)
    assert provider.count_requests("kettle") == 1
    assert sorted(job.cached for job in jobs) == [False, True, True]


def test_a_batch_does_not_delay_another_company(
    client: APIClient, outsider_client: APIClient, workers: WorkerManager, provider: WordProvider
) -> None:
    worker = workers.current()
    provider.on["item"] = ai.slow(0.3)
    texts = [f"item {number} of the batch is long." for number in range(24)]
    assert client.post("/api/v1/summaries/batch", {"texts": texts}).status_code == 202
    eventually(
        lambda: provider.max_parallel_requests == worker.concurrency,
        "all processes work on the batch",
    )
    job = post_note(outsider_client, "kettle")
    started_items = provider.count_requests("item")
    assert completes(job, "kettle", attempts=1)
    words = [request.document.split()[0] for request in provider.requests]
    assert words.index("kettle") - started_items <= worker.concurrency
    done = Summary.objects.filter(batch__isnull=False, status=COMPLETED)
    assert done.count() < len(texts)
    eventually(lambda: done.count() == len(texts), "the batch is completed")


def test_a_redelivered_message_of_a_completed_note_is_ignored(
    client: APIClient, broker: Broker, workers: WorkerManager, provider: WordProvider
) -> None:
    worker = workers.current()
    worker.signal_children(signal.SIGSTOP)
    job = post_note(client, "kettle")
    eventually(worker.has_unread_task, "a child process has the message")
    worker.parent.send_signal(signal.SIGSTOP)
    worker.signal_children(signal.SIGCONT)
    assert completes(job, "kettle", attempts=1)
    assert broker.unacknowledged_count() == 1
    worker.kill()
    broker.redeliver_unacknowledged()
    workers.current()
    eventually(
        lambda: not broker.queue_length() and not broker.unacknowledged_count(),
        "the message was delivered again",
    )
    assert completes(job, "kettle", attempts=1)
    assert provider.count_requests("kettle") == 1


def test_a_worker_that_was_stopped_past_its_lease_changes_nothing(
    client: APIClient, workers: WorkerManager, provider: WordProvider
) -> None:
    sleeper = workers.current()

    def stop_sleeper(exchange: ai.Exchange) -> None:
        provider.on["kettle"] = ai.answer("From the other worker.")
        sleeper.signal(signal.SIGSTOP)
        ai.answer("From the sleeper.")(exchange)

    provider.on["kettle"] = stop_sleeper
    job = post_note(client, "kettle")
    with workers.start():
        wait_for_status(job, COMPLETED)
        stored = Summary.objects.values().get(pk=job.pk)
        assert (stored["summary"], stored["attempts"]) == ("From the other worker.", 2)
        sleeper.signal(signal.SIGCONT)
        eventually(lambda: sleeper.has_logged("job_lost_lease"), "the sleeper has noticed")
        assert Summary.objects.values().get(pk=job.pk) == stored


def test_a_note_that_kills_its_worker_each_time_fails_and_others_complete(
    client: APIClient, workers: WorkerManager, provider: WordProvider
) -> None:
    worker = workers.current()
    provider.on["killer"] = lambda exchange: worker.find_child_by_port(exchange.port).kill()
    killer = post_note(client, "killer")
    for number in range(6):
        assert completes(post_note(client, f"tea-{number}"), f"tea-{number}", attempts=1)
    wait_for_status(killer, FAILED)
    assert (killer.attempts, killer.summary) == (3, "")
    assert killer.error == "The worker process died in the last of 3 attempts."
    assert provider.count_requests("killer") == 3
    assert completes(post_note(client, "kettle"), "kettle", attempts=1)


def measure_s(call: Callable[[], Any]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def test_notes_posted_while_the_broker_is_down_complete_after_its_restart(
    client: APIClient, broker: Broker, workers: WorkerManager
) -> None:
    worker = workers.current()
    before = wait_for_status(post_note(client, "before"), COMPLETED)
    broker.kill()
    jobs: list[Summary] = []
    # Longer than the pause in publishing after a failure, so that some posts try the dead broker.
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        assert measure_s(lambda: jobs.append(post_note(client, f"tea-{len(jobs)}"))) < 1
        time.sleep(0.3)
    broker.start()
    eventually(before.publish, "this process publishes again")
    assert completes(post_note(client, "after"), "after", attempts=1)
    for number, job in enumerate(jobs):
        assert completes(job, f"tea-{number}", attempts=1)
    assert workers.current() is worker


def test_notes_complete_after_the_broker_lost_their_messages(
    client: APIClient, broker: Broker, workers: WorkerManager
) -> None:
    worker = workers.current()
    with worker.suspend():
        jobs = [post_note(client, f"tea-{number}") for number in range(4)]
        broker.client.flushall()
        assert broker.queue_length() == 0
    age_queued_jobs(10)
    for number, job in enumerate(jobs):
        assert completes(job, f"tea-{number}", attempts=1)


def test_a_hanging_broker_does_not_delay_posts(
    client: APIClient, broker: Broker, workers: WorkerManager
) -> None:
    workers.current()
    jobs: list[Summary] = []
    with broker.suspend():
        assert measure_s(lambda: jobs.append(post_note(client, "tea-0"))) < MAX_POST_S
        assert measure_s(lambda: jobs.append(post_note(client, "tea-1"))) < 0.5
    age_queued_jobs(10)
    for number, job in enumerate(jobs):
        assert completes(job, f"tea-{number}", attempts=1)


def test_a_failing_provider_gets_a_bounded_number_of_requests(
    client: APIClient, workers: WorkerManager, provider: WordProvider
) -> None:
    workers.current()
    provider.on |= {
        "busy": only_first(provider, "busy", ai.rate_limited(1)),
        "broken": ai.server_error(),
        "garbled": ai.garbage(),
        "silent": ai.slow(30),
        "recovering": only_first(provider, "recovering", ai.slow(30)),
        "poisonous": ai.answer("A\0B"),
    }
    # A list, because `only_first` changes the dictionary while the first jobs run.
    jobs = {word: post_note(client, word) for word in list(provider.on)}
    eventually(lambda: have_all_ended(jobs), "all jobs have ended")
    for word, reason in {"broken": "500", "garbled": "JSON", "silent": "did not answer"}.items():
        jobs[word].refresh_from_db()
        assert (jobs[word].status, jobs[word].attempts, jobs[word].summary) == (FAILED, 3, "")
        assert reason in jobs[word].error
        assert provider.count_requests(word) <= 3 * int(PROVIDER_ATTEMPTS)
    assert completes(jobs["busy"], "busy", attempts=1)
    first, second = (r.started for r in provider.requests if r.document.startswith("busy"))
    assert second - first >= 1
    assert completes(jobs["recovering"], "recovering", attempts=2)
    assert "\0" not in wait_for_status(jobs["poisonous"], COMPLETED).summary


def have_all_ended(jobs: dict[str, Summary]) -> bool:
    """Skip the pauses before retries, then check whether all jobs have ended."""
    age_queued_jobs(30)
    return all(
        Summary.objects.filter(pk=job.pk, status__in=(COMPLETED, FAILED)).exists()
        for job in jobs.values()
    )


def only_first(provider: WordProvider, word: str, behaviour: ai.Behaviour) -> ai.Behaviour:
    """Use `behaviour` for the first request with `word`, and the default for later ones."""

    def answer_once(exchange: ai.Exchange) -> None:
        del provider.on[word]
        behaviour(exchange)

    return answer_once
