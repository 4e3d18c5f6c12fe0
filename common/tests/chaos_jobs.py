"""Jobs with real workers, beat and a broker, which are killed, suspended and flushed."""

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

from common.jobs import runner, sweeper
from common.jobs.status import JobStatus
from common.tests.models import SampleJob
from common.tests.support import Beat, Broker, Worker, eventually, reject_rows
from common.tests.support.worker import database_url

pytestmark = pytest.mark.django_db(transaction=True)

COMPLETED, FAILED = JobStatus.COMPLETED, JobStatus.FAILED


@pytest.fixture(autouse=True)
def _empty_broker(broker: Broker) -> None:
    broker.client.flushall()


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
    """A pipe for a job's `log_path`: a run of the job waits for it until `open`."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._reader: int | None = None

    def open(self) -> None:
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        if self._reader is not None:
            os.close(self._reader)


def has_status(job: SampleJob, status: JobStatus) -> Callable[[], bool]:
    return lambda: SampleJob.objects.filter(pk=job.pk, status=status).exists()


def wait_for_status(job: SampleJob, status: JobStatus, *, within: float = 20) -> SampleJob:
    """Wait until the job has the status and return it as it is stored."""
    eventually(has_status(job, status), f"{job.pk} is {status}", within=within)
    job.refresh_from_db()
    return job


def outcome(job: SampleJob) -> tuple[str, int, str, int]:
    return job.status, job.attempts, job.result, job.end_count


def pass_time(seconds: float) -> None:
    """Move the times of all jobs into the past, as if they had waited longer."""
    step = timedelta(seconds=seconds)
    SampleJob.objects.update(
        run_after=F("run_after") - step, publish_after=F("publish_after") - step
    )


@contextmanager
def disconnect_database() -> Iterator[None]:
    """End all connections and refuse new ones, as a restart of the database does."""
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.close_pool()
    with psycopg.connect(database_url(), dbname="postgres", autocommit=True) as admin_session:
        admin_session.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            admin_session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            admin_session.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_a_waiting_job_is_republished_less_and_less_often(broker: Broker) -> None:
    SampleJob.objects.create()
    for _ in range(6 * 60):
        pass_time(60)
        sweeper.sweep(SampleJob)
    # The delay doubles up to ten minutes; then there are six messages an hour.
    assert broker.queue_length() <= 6 * 6 + 10


def test_a_long_queue_is_not_published_again(broker: Broker) -> None:
    SampleJob.objects.bulk_create([SampleJob() for _ in range(1200)])
    for _ in range(20):
        pass_time(600)
        sweeper.sweep(SampleJob)
    assert broker.queue_length() == sweeper.MAX_QUEUE_LENGTH


def test_a_job_that_a_sweep_cannot_publish_is_published_by_the_next(broker: Broker) -> None:
    SampleJob.objects.create()
    pass_time(3600)
    broker.kill()
    assert sweeper.sweep(SampleJob) == (0, 0)
    broker.start()
    eventually(lambda: sweeper.sweep(SampleJob) == (0, 1), "the job is published")


def test_a_result_that_the_database_rejects_becomes_the_error_of_the_job() -> None:
    job = SampleJob.objects.create(attempts=2)
    with reject_rows(SampleJob, "status = 'completed'"):
        runner.run(SampleJob, job.pk)
    job.refresh_from_db()
    assert outcome(job) == (FAILED, 3, "", 1)
    assert job.error == "Unexpected error: IntegrityError."


def test_an_error_while_failing_a_job_does_not_stop_the_sweep(broker: Broker) -> None:
    past = Now() - timedelta(seconds=1)
    dead = {"status": JobStatus.IN_PROGRESS, "attempts": 3, "lease_until": past}
    SampleJob.objects.create(action="bad", **dead)
    good = SampleJob.objects.create(**dead)
    with reject_rows(SampleJob, "action = 'bad' AND status = 'failed'"):
        assert sweeper.sweep(SampleJob) == (1, 0)
    good.refresh_from_db()
    assert good.status == FAILED
    assert sweeper.sweep(SampleJob) == (1, 0)


def test_beat_sweeps_without_a_worker_and_queues_no_sweeps(broker: Broker, beat: Beat) -> None:
    SampleJob.objects.create(publish_after=Now())
    eventually(lambda: broker.queue_length("jobs") == 1, "beat publishes")
    SampleJob.objects.create(publish_after=Now())
    eventually(lambda: broker.queue_length("jobs") == 2, "beat publishes a second time")
    assert broker.queue_length("control") == 0


def test_a_message_that_arrives_five_times_runs_the_job_once(
    broker: Broker, worker: Worker, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    jobs = [SampleJob.objects.create(log_path=str(log), seconds=0.02) for _ in range(20)]
    for job in jobs:
        for _ in range(5):
            job.publish()
    for job in jobs:
        assert outcome(wait_for_status(job, COMPLETED)) == (COMPLETED, 1, "done by attempt 1", 1)
    eventually(
        lambda: not broker.queue_length() and not broker.unacknowledged_count(), "all are consumed"
    )
    assert sorted(log.read_text().splitlines()) == sorted(f"{job.pk} 1" for job in jobs)


def test_a_job_whose_process_is_killed_is_run_by_another(
    worker: Worker, beat: Beat, gate: Gate
) -> None:
    job = SampleJob.objects.enqueue(log_path=gate.path)
    wait_for_status(job, JobStatus.IN_PROGRESS)
    worker.signal_children(signal.SIGKILL)
    gate.open()
    assert outcome(wait_for_status(job, COMPLETED)) == (COMPLETED, 2, "done by attempt 2", 1)


def test_a_job_that_kills_its_worker_fails_and_others_complete(worker: Worker, beat: Beat) -> None:
    poison = SampleJob.objects.enqueue(action="kill", attempts=2)
    others = [SampleJob.objects.enqueue(seconds=0.01) for _ in range(10)]
    for other in others:
        assert outcome(wait_for_status(other, COMPLETED))[1:3] == (1, "done by attempt 1")
    assert outcome(wait_for_status(poison, FAILED)) == (FAILED, 3, "", 1)
    assert poison.error == "The worker process died in the last of 3 attempts."
    assert outcome(wait_for_status(SampleJob.objects.enqueue(), COMPLETED))[1] == 1


@pytest.mark.parametrize("fault", [Broker.out_of_memory, Broker.read_only, Broker.unable_to_save])
def test_a_broker_that_refuses_writes_delays_jobs_and_ends_no_process(
    broker: Broker, worker: Worker, beat: Beat, fault: Callable[[Broker], Any]
) -> None:
    def retry_count() -> int:
        return worker.read_log().count("Cannot connect to redis")

    # Celery 5.7 ends a worker that loses its broker before it has noticed the death of a process:
    # "file descriptor is None". A supervisor starts it again.
    worker.wait_whole()
    with worker.suspend():
        received = SampleJob.objects.enqueue()
        retry_count_before = retry_count()
        with fault(broker):
            worker.signal(signal.SIGCONT)
            eventually(lambda: retry_count() > retry_count_before, "the worker tries to reconnect")
            unpublished = SampleJob.objects.enqueue()
            pass_time(60)
    for job in (received, unpublished):
        wait_for_status(job, COMPLETED)
    assert worker.is_running
    assert beat.is_running


def test_a_result_is_stored_after_a_database_outage(worker: Worker, beat: Beat, gate: Gate) -> None:
    job = SampleJob.objects.enqueue(log_path=gate.path)
    wait_for_status(job, JobStatus.IN_PROGRESS)
    # Beat could requeue the job first: the outage is longer than the short lease of the tests.
    with beat.suspend():
        with disconnect_database():
            gate.open()
            eventually(lambda: worker.has_logged("stamina.retry_scheduled"), "the worker retries")
        wait_for_status(job, COMPLETED)
    assert outcome(job) == (COMPLETED, 1, "done by attempt 1", 1)


def test_sweeps_do_not_wait_for_busy_workers(worker: Worker, beat: Beat, gate: Gate) -> None:
    busy = [SampleJob.objects.enqueue(log_path=gate.path) for _ in range(2 * worker.concurrency)]
    eventually(
        lambda: (
            SampleJob.objects.filter(status=JobStatus.IN_PROGRESS).count() == worker.concurrency
        ),
        "all processes are busy",
    )
    past = Now() - timedelta(seconds=1)
    dead = SampleJob.objects.create(status=JobStatus.IN_PROGRESS, attempts=3, lease_until=past)
    wait_for_status(dead, FAILED)
    gate.open()
    for job in busy:
        wait_for_status(job, COMPLETED)
