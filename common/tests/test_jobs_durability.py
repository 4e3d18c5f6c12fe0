"""Jobs against real workers, a real beat and a broker of their own that die, hang and forget."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from common.jobs import runner
from common.jobs.status import JobStatus
from common.tests.models import SampleJob
from common.tests.support import Beat, Broker, Worker, eventually, reject_rows
from common.tests.support.worker import database_url
from config.local import LocalServices

pytestmark = pytest.mark.django_db(transaction=True)

COMPLETED, FAILED = JobStatus.COMPLETED, JobStatus.FAILED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Broker]:
    with Broker(lambda: LocalServices(folder, postgres=False)) as broker:
        yield broker


@pytest.fixture(autouse=True)
def _empty_broker(broker: Broker) -> None:
    broker.client.flushall()


@pytest.fixture(scope="module")
def beat(django_db_setup: None, django_db_blocker: Any, broker: Broker, folder: Path) -> Any:
    with django_db_blocker.unblock(), Beat(broker.url, folder) as beat:
        yield beat


@pytest.fixture(scope="module")
def worker(django_db_setup: None, django_db_blocker: Any, broker: Broker, folder: Path) -> Any:
    with django_db_blocker.unblock(), Worker(broker.url, folder, concurrency=3) as worker:
        yield worker


@pytest.fixture
def gate(tmp_path: Path) -> Iterator["Gate"]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()


class Gate:
    """A pipe as an errand's `log`: claimed, the errand stands before it until `open`."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._reader: int | None = None

    def open(self) -> None:
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        if self._reader is not None:
            os.close(self._reader)


def is_now(job: SampleJob, status: JobStatus) -> Callable[[], bool]:
    return lambda: SampleJob.objects.filter(pk=job.pk, status=status).exists()


def reaches(job: SampleJob, status: JobStatus, *, within: float = 20) -> SampleJob:
    """The job as it is stored when it has got there."""
    eventually(is_now(job, status), f"{job.pk} is {status}", within=within)
    job.refresh_from_db()
    return job


def outcome(job: SampleJob) -> tuple[str, int, str, int]:
    return job.status, job.attempts, job.result, job.ends


def pass_time(seconds: float) -> None:
    """Let all jobs have waited for so much longer."""
    step = timedelta(seconds=seconds)
    SampleJob.objects.update(
        run_after=F("run_after") - step, publish_after=F("publish_after") - step
    )


@contextmanager
def database_away() -> Iterator[None]:
    """As in a restart: all connections end, and new ones are refused until it is over."""
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.close_pool()
    with psycopg.connect(database_url(), dbname="postgres", autocommit=True) as elsewhere:
        elsewhere.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            elsewhere.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            elsewhere.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_publications_of_a_waiting_job_get_rarer(broker: Broker) -> None:
    SampleJob.objects.create()
    for _ in range(6 * 60):
        pass_time(60)
        sweeper.sweep(SampleJob)
    # Doubling pauses up to ten minutes, then six an hour.
    assert broker.queue_length() <= 6 * 6 + 10


def test_a_backlog_is_not_published_again(broker: Broker) -> None:
    SampleJob.objects.bulk_create([SampleJob() for _ in range(1200)])
    for _ in range(20):
        pass_time(600)
        sweeper.sweep(SampleJob)
    assert broker.queue_length() == sweeper.MAX_QUEUE_LENGTH


def test_what_a_sweep_cannot_publish_is_due_at_the_next(broker: Broker) -> None:
    SampleJob.objects.create()
    pass_time(3600)
    broker.kill()
    assert sweeper.sweep(SampleJob) == (0, 0)
    broker.start()
    eventually(lambda: sweeper.sweep(SampleJob) == (0, 1), "the job is published")


def test_a_result_that_the_row_does_not_take_is_the_reason_of_the_failure() -> None:
    job = SampleJob.objects.create(attempts=2)
    with reject_rows(SampleJob, "status = 'completed'"):
        runner.run(SampleJob, job.pk)
    job.refresh_from_db()
    assert outcome(job) == (FAILED, 3, "", 1)
    assert job.error == "Unexpected error: IntegrityError."


def test_a_job_whose_end_raises_does_not_keep_others_from_being_swept(broker: Broker) -> None:
    past = Now() - timedelta(seconds=1)
    dead = {"status": JobStatus.IN_PROGRESS, "attempts": 3, "lease_until": past}
    SampleJob.objects.create(action="bad", **dead)
    good = SampleJob.objects.create(**dead)
    with reject_rows(SampleJob, "action = 'bad' AND status = 'failed'"):
        assert sweeper.sweep(SampleJob) == (1, 0)
    good.refresh_from_db()
    assert good.status == FAILED
    assert sweeper.sweep(SampleJob) == (1, 0)


def test_beat_sweeps_while_there_is_no_worker_and_piles_nothing_up(
    broker: Broker, beat: Beat
) -> None:
    SampleJob.objects.create(publish_after=Now())
    eventually(lambda: broker.queue_length("jobs") == 1, "beat publishes")
    SampleJob.objects.create(publish_after=Now())
    eventually(lambda: broker.queue_length("jobs") == 2, "beat publishes a second time")
    assert broker.queue_length("control") == 0


def test_the_same_message_five_times_runs_a_job_once(
    broker: Broker, worker: Worker, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    jobs = [SampleJob.objects.create(log=str(log), seconds=0.02) for _ in range(20)]
    for job in jobs:
        for _ in range(5):
            job.publish()
    for job in jobs:
        assert outcome(reaches(job, COMPLETED)) == (COMPLETED, 1, "done by try 1", 1)
    eventually(
        lambda: not broker.queue_length() and not broker.unacknowledged_count(), "all are consumed"
    )
    assert sorted(log.read_text().splitlines()) == sorted(f"{job.pk} 1" for job in jobs)


def test_a_job_whose_process_is_killed_is_done_by_another(
    worker: Worker, beat: Beat, gate: Gate
) -> None:
    job = SampleJob.objects.enqueue(log=gate.path)
    reaches(job, JobStatus.IN_PROGRESS)
    worker.signal_children(signal.SIGKILL)
    gate.open()
    assert outcome(reaches(job, COMPLETED)) == (COMPLETED, 2, "done by try 2", 1)


def test_a_job_that_kills_its_last_worker_fails_and_others_complete(
    worker: Worker, beat: Beat
) -> None:
    poison = SampleJob.objects.enqueue(action="kill", attempts=2)
    others = [SampleJob.objects.enqueue(seconds=0.01) for _ in range(10)]
    for other in others:
        assert outcome(reaches(other, COMPLETED))[1:3] == (1, "done by try 1")
    assert outcome(reaches(poison, FAILED)) == (FAILED, 3, "", 1)
    assert poison.error == "The worker process died in the last of 3 attempts."
    assert outcome(reaches(SampleJob.objects.enqueue(), COMPLETED))[1] == 1


def test_a_result_is_stored_through_a_loss_of_the_database(
    worker: Worker, beat: Beat, gate: Gate
) -> None:
    job = SampleJob.objects.enqueue(log=gate.path)
    reaches(job, JobStatus.IN_PROGRESS)
    # Awake, it could give the job away first: this loss is longer than the tests' short lease.
    with beat.suspend():
        with database_away():
            gate.open()
            eventually(
                lambda: worker.has_logged("stamina.retry_scheduled"), "the worker tries again"
            )
        reaches(job, COMPLETED)
    assert outcome(job) == (COMPLETED, 1, "done by try 1", 1)


def test_sweeps_do_not_wait_behind_the_jobs_they_look_after(
    worker: Worker, beat: Beat, gate: Gate
) -> None:
    busy = [SampleJob.objects.enqueue(log=gate.path) for _ in range(2 * worker.concurrency)]
    eventually(
        lambda: (
            SampleJob.objects.filter(status=JobStatus.IN_PROGRESS).count() == worker.concurrency
        ),
        "all processes are busy",
    )
    past = Now() - timedelta(seconds=1)
    dead = SampleJob.objects.create(status=JobStatus.IN_PROGRESS, attempts=3, lease_until=past)
    reaches(dead, FAILED)
    gate.open()
    for job in busy:
        reaches(job, COMPLETED)
