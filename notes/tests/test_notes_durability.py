"""Notes are summarised once, whatever dies, hangs or forgets meanwhile: all parts are real.

Notes are posted through the API of this process. A broker of the module's own, beat and a worker
with a provider that does as it is told take them from there.
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
from common.jobs.models import JobStatus
from common.tests.support import Beat, Broker, Worker, block_updates, eventually, lock_table
from common.tests.support import ai_provider as ai
from config.local import LocalServices
from notes.models import Note, Summary

pytestmark = pytest.mark.django_db(transaction=True)

COMPLETED, FAILED = JobStatus.COMPLETED, JobStatus.FAILED
PROVIDER_ATTEMPTS = "2"
QUICK = 3.0  # seconds that a POST may take while the broker does not answer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Broker]:
    with Broker(lambda: LocalServices(folder, postgres=False)) as broker:
        yield broker


@pytest.fixture(scope="module")
def _beat(django_db_setup: None, django_db_blocker: Any, broker: Broker, folder: Path) -> Any:
    with django_db_blocker.unblock(), Beat(broker.url, folder) as beat:
        yield beat


class Provider(ai.FakeProvider):
    """Meets a request by the first word of its text: `on["kettle"] = ai.server_error()`."""

    def __init__(self) -> None:
        super().__init__(default=self._meet)
        self.on: dict[str, ai.Behaviour] = {}

    def _meet(self, exchange: ai.Exchange) -> None:
        self.on.get(exchange.document.split()[0], ai.answer())(exchange)

    def asked(self, word: str) -> int:
        return sum(request.document.startswith(word) for request in self.requests)


@pytest.fixture(scope="module")
def _provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(_provider: Provider) -> Iterator[Provider]:
    yield _provider
    _provider.on.clear()
    _provider.requests.clear()


class Crew:
    """The module's worker, and a new one where that was killed; `hire` gives others."""

    def __init__(self, broker: Broker, folder: Path, provider: Provider) -> None:
        self._broker, self._folder = broker, folder
        self._environment = {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": provider.url,
            "OPENAI_TIMEOUT": "2",
            "OPENAI_ATTEMPTS": PROVIDER_ATTEMPTS,
        }
        self._stack = ExitStack()
        self._worker: Worker | None = None

    def hire(self, **environment: str) -> Worker:
        told = self._environment | environment
        return Worker(self._broker.url, self._folder, concurrency=3, environment=told)

    def worker(self) -> Worker:
        if self._worker is None or not self._worker.is_running:
            self._worker = self._stack.enter_context(self.hire())
        return self._worker

    def dismiss(self) -> None:
        if self._worker is not None:
            self._worker.kill()

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def crew(
    django_db_blocker: Any, _beat: Beat, broker: Broker, folder: Path, _provider: Provider
) -> Iterator[Crew]:
    crew = Crew(broker, folder, _provider)
    with django_db_blocker.unblock():
        yield crew
        crew.close()


@pytest.fixture
def client(as_user: Callable[[User], APIClient], owner: User, broker: Broker) -> APIClient:
    broker.client.flushall()
    return as_user(owner)


@pytest.fixture
def outsider_client(as_user: Callable[[User], APIClient], outsider: User) -> APIClient:
    return as_user(outsider)


def text(word: str) -> str:
    return f"{word} is what this note is about. The rest of it tells of the weather."


def post(client: APIClient, word: str) -> Summary:
    """The job of a note that was just posted."""
    answer = client.post("/api/v1/notes", {"raw_text": text(word)})
    assert answer.status_code == 201, answer.content
    return Summary.objects.get(note_id=answer.json()["id"])


def reaches(job: Summary, status: JobStatus, *, within: float = 25) -> Summary:
    """The job as it is stored when it has got there."""
    rows = Summary.objects.filter(pk=job.pk, status=status)
    eventually(rows.exists, f"{job.note.raw_text.split()[0]} is {status}", within=within)
    job.refresh_from_db()
    return job


def is_summarized(job: Summary, word: str, *, attempts: int) -> bool:
    """Whether the job has ended well at that try, with what the provider says by itself."""
    reaches(job, COMPLETED)
    return (job.summary, job.attempts, job.error) == (ai.summary_of(text(word)), attempts, "")


def pass_time(seconds: float) -> None:
    """Let all jobs have waited for so much longer."""
    step = timedelta(seconds=seconds)
    waiting = Summary.objects.filter(status=JobStatus.QUEUED)
    waiting.update(run_after=F("run_after") - step, publish_after=F("publish_after") - step)


@contextmanager
def refused_at_commit() -> Iterator[None]:
    """The database takes a new summary, and with the commit it does not."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'refused at commit'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON notes_summary
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
            """
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse ON notes_summary; DROP FUNCTION refuse")


def test_a_rolled_back_request_leaves_no_row_and_no_message(
    client: APIClient, broker: Broker
) -> None:
    with refused_at_commit():
        answer = client.post("/api/v1/notes", {"raw_text": text("kettle")})
    assert answer.status_code == 500
    assert (Note.objects.count(), Summary.objects.count(), broker.queue_length()) == (0, 0, 0)
    post(client, "kettle")
    assert (Note.objects.count(), Summary.objects.count(), broker.queue_length()) == (1, 1, 1)


def test_notes_whose_worker_is_killed_complete_by_themselves(
    client: APIClient, crew: Crew, provider: Provider
) -> None:
    """Right after the claim, while the provider works, and with the summary not yet committed."""
    crew.dismiss()
    with crew.hire(OPENAI_TIMEOUT="60") as worker:
        claimed = reaches(post(client, "claimed"), COMPLETED)
        provider.on["asking"] = ai.slow(60)
        asking = post(client, "asking")
        eventually(lambda: provider.asked("asking"), "the provider is asked")
        with block_updates(Summary, "NEW.status = 'completed'"):
            writing = post(client, "writing")
            eventually(lambda: worker.lock_wait_count() == 1, "the summary is about to be stored")
            with lock_table(Note):
                claimed.requeue()
                eventually(lambda: worker.lock_wait_count() == 2, "the note is about to be read")
                worker.kill()
    assert set(Summary.objects.values_list("status", "attempts")) == {(JobStatus.IN_PROGRESS, 1)}
    provider.on.clear()
    crew.worker()
    assert is_summarized(claimed, "claimed", attempts=2)
    assert is_summarized(asking, "asking", attempts=2)
    assert is_summarized(writing, "writing", attempts=2)


def test_the_same_message_five_times_makes_one_summary(
    client: APIClient, broker: Broker, crew: Crew, provider: Provider
) -> None:
    with crew.worker().suspend():
        job = post(client, "kettle")
        assert all(job.publish() for _ in range(4))
    assert is_summarized(job, "kettle", attempts=1)
    eventually(
        lambda: not broker.queue_length() and not broker.unacknowledged_count(), "all are consumed"
    )
    assert is_summarized(job, "kettle", attempts=1)
    assert provider.asked("kettle") == 1


def test_the_same_text_twice_at_once_makes_one_call(
    client: APIClient, crew: Crew, provider: Provider
) -> None:
    crew.worker()
    provider.on["kettle"] = ai.slow(1)
    jobs = [post(client, "kettle") for _ in range(3)]
    assert all(is_summarized(job, "kettle", attempts=1) for job in jobs)
    assert provider.asked("kettle") == 1
    assert sorted(job.cached for job in jobs) == [False, True, True]


def test_a_batch_does_not_keep_another_company_waiting_and_completes(
    client: APIClient, outsider_client: APIClient, crew: Crew, provider: Provider
) -> None:
    worker = crew.worker()
    provider.on["item"] = ai.slow(0.3)
    texts = [f"item {number} of the batch is long." for number in range(24)]
    assert client.post("/api/v1/summaries/batch", {"texts": texts}).status_code == 202
    eventually(lambda: provider.busiest == worker.concurrency, "all work on the batch")
    job = post(outsider_client, "kettle")
    begun = provider.asked("item")
    assert is_summarized(job, "kettle", attempts=1)
    words = [request.document.split()[0] for request in provider.requests]
    assert words.index("kettle") - begun <= worker.concurrency
    done = Summary.objects.filter(batch__isnull=False, status=COMPLETED)
    assert done.count() < len(texts)
    eventually(lambda: done.count() == len(texts), "the batch is completed")


def test_a_note_whose_worker_is_killed_before_it_acknowledges_is_not_done_again(
    client: APIClient, broker: Broker, crew: Crew, provider: Provider
) -> None:
    worker = crew.worker()
    worker.signal_children(signal.SIGSTOP)
    job = post(client, "kettle")
    eventually(worker.has_unread_task, "a child has been given the message")
    worker.parent.send_signal(signal.SIGSTOP)
    worker.signal_children(signal.SIGCONT)
    assert is_summarized(job, "kettle", attempts=1)
    assert broker.unacknowledged_count() == 1
    worker.kill()
    broker.redeliver_unacknowledged()
    crew.worker()
    eventually(
        lambda: not broker.queue_length() and not broker.unacknowledged_count(), "it came again"
    )
    assert is_summarized(job, "kettle", attempts=1)
    assert provider.asked("kettle") == 1


def test_a_worker_that_slept_past_its_lease_changes_nothing(
    client: APIClient, crew: Crew, provider: Provider
) -> None:
    sleeper = crew.worker()

    def put_to_sleep(exchange: ai.Exchange) -> None:
        provider.on["kettle"] = ai.answer("From the other worker.")
        sleeper.signal(signal.SIGSTOP)
        ai.answer("From the sleeper.")(exchange)

    provider.on["kettle"] = put_to_sleep
    job = post(client, "kettle")
    with crew.hire():
        reaches(job, COMPLETED)
        known = Summary.objects.values().get(pk=job.pk)
        assert (known["summary"], known["attempts"]) == ("From the other worker.", 2)
        sleeper.signal(signal.SIGCONT)
        eventually(lambda: sleeper.has_logged("job_lost_lease"), "the sleeper has noticed")
        assert Summary.objects.values().get(pk=job.pk) == known


def test_a_note_that_kills_its_worker_each_time_fails_and_others_complete(
    client: APIClient, crew: Crew, provider: Provider
) -> None:
    worker = crew.worker()
    provider.on["poison"] = lambda exchange: worker.child_at(exchange.port).kill()
    poison = post(client, "poison")
    for number in range(6):
        assert is_summarized(post(client, f"tea-{number}"), f"tea-{number}", attempts=1)
    reaches(poison, FAILED)
    assert (poison.attempts, poison.summary) == (3, "")
    assert poison.error == "The worker process died in the last of 3 attempts."
    assert provider.asked("poison") == 3
    assert is_summarized(post(client, "kettle"), "kettle", attempts=1)


def timed(call: Callable[[], Any]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def test_notes_posted_while_the_broker_is_down_complete_when_it_is_back(
    client: APIClient, broker: Broker, crew: Crew
) -> None:
    worker = crew.worker()
    before = reaches(post(client, "before"), COMPLETED)
    broker.kill()
    jobs: list[Summary] = []
    # Longer than publishing pauses after a failure, so that some posts do try the dead broker.
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        assert timed(lambda: jobs.append(post(client, f"tea-{len(jobs)}"))) < 1
        time.sleep(0.3)
    broker.start()
    eventually(before.publish, "this process publishes again")
    assert is_summarized(post(client, "after"), "after", attempts=1)
    for number, job in enumerate(jobs):
        assert is_summarized(job, f"tea-{number}", attempts=1)
    assert crew.worker() is worker


def test_notes_that_the_broker_has_forgotten_complete(
    client: APIClient, broker: Broker, crew: Crew
) -> None:
    worker = crew.worker()
    with worker.suspend():
        jobs = [post(client, f"tea-{number}") for number in range(4)]
        broker.client.flushall()
        assert broker.queue_length() == 0
    pass_time(10)
    for number, job in enumerate(jobs):
        assert is_summarized(job, f"tea-{number}", attempts=1)


def test_a_broker_that_hangs_does_not_hold_up_who_posts(
    client: APIClient, broker: Broker, crew: Crew
) -> None:
    crew.worker()
    jobs: list[Summary] = []
    with broker.suspend():
        assert timed(lambda: jobs.append(post(client, "tea-0"))) < QUICK
        assert timed(lambda: jobs.append(post(client, "tea-1"))) < 0.5
    pass_time(10)
    for number, job in enumerate(jobs):
        assert is_summarized(job, f"tea-{number}", attempts=1)


def test_a_misbehaving_provider_is_met_with_bounded_tries_and_a_reason(
    client: APIClient, crew: Crew, provider: Provider
) -> None:
    crew.worker()
    provider.on |= {
        "busy": once(provider, "busy", ai.rate_limited(1)),
        "broken": ai.server_error(),
        "garbled": ai.garbage(),
        "silent": ai.slow(30),
        "mended": once(provider, "mended", ai.slow(30)),
        "poisonous": ai.answer("A\0B"),
    }
    # A list, for `once` changes the dictionary while the first are at work.
    jobs = {word: post(client, word) for word in list(provider.on)}
    eventually(lambda: all_ended(jobs), "all have ended")
    for word, reason in {"broken": "500", "garbled": "JSON", "silent": "did not answer"}.items():
        jobs[word].refresh_from_db()
        assert (jobs[word].status, jobs[word].attempts, jobs[word].summary) == (FAILED, 3, "")
        assert reason in jobs[word].error
        assert provider.asked(word) <= 3 * int(PROVIDER_ATTEMPTS)
    assert is_summarized(jobs["busy"], "busy", attempts=1)
    first, second = (r.at for r in provider.requests if r.document.startswith("busy"))
    assert second - first >= 1
    assert is_summarized(jobs["mended"], "mended", attempts=2)
    assert "\0" not in reaches(jobs["poisonous"], COMPLETED).summary


def all_ended(jobs: dict[str, Summary]) -> bool:
    """Lets the time until a next try pass at once, and nothing else."""
    pass_time(30)
    return all(
        Summary.objects.filter(pk=job.pk, status__in=(COMPLETED, FAILED)).exists()
        for job in jobs.values()
    )


def once(provider: Provider, word: str, behaviour: ai.Behaviour) -> ai.Behaviour:
    """Meets the first request so, and the next as usual."""

    def behave(exchange: ai.Exchange) -> None:
        del provider.on[word]
        behaviour(exchange)

    return behave
