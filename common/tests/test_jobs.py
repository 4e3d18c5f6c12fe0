"""The transitions of a job; `chaos_jobs` tests them with real crashes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from structlog.testing import capture_logs

from common.jobs import Job, LostLease, runner, sweeper
from common.jobs.status import JobStatus
from common.tests.models import SampleJob

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent_messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The messages that would have been sent to the broker."""
    sent: list[tuple[str, str]] = []

    def publish(job: Job) -> bool:
        sent.append((job._meta.label, job.pk))
        return True

    monkeypatch.setattr(Job, "publish", publish)
    return sent


def expire_lease(job: SampleJob) -> None:
    """Let the lease of a job expire, as if its worker had died."""
    past = Now() - timedelta(seconds=1)
    SampleJob.objects.filter(pk=job.pk).update(lease_until=past, publish_after=past)


def test_enqueue_publishes_once_the_transaction_commits(
    sent_messages: list, django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        job = SampleJob.objects.enqueue()
        assert sent_messages == []
    assert sent_messages == [("tests.SampleJob", job.pk)]
    assert job.status == JobStatus.QUEUED


def test_a_rolled_back_transaction_leaves_no_row_and_no_message(
    sent_messages: list, django_capture_on_commit_callbacks: object
) -> None:
    with (
        django_capture_on_commit_callbacks(execute=True),  # type: ignore[operator]
        transaction.atomic(),
    ):
        SampleJob.objects.enqueue()
        transaction.set_rollback(True)
    assert sent_messages == []
    assert not SampleJob.objects.exists()


def test_many_jobs_are_enqueued_with_one_query(
    sent_messages: list, django_capture_on_commit_callbacks: object, count_queries: Any
) -> None:
    jobs = [SampleJob(action="fail") for _ in range(30)]
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert count_queries(lambda: SampleJob.objects.enqueue_many(jobs)) == 1
    assert sent_messages == [("tests.SampleJob", job.pk) for job in jobs]
    runner.run(SampleJob, jobs[7].pk)
    assert SampleJob.objects.filter(status=JobStatus.FAILED).get() == jobs[7]


def test_requeue_all_needs_as_many_queries_for_one_job_as_for_thirty(
    sent_messages: list, django_capture_on_commit_callbacks: object, count_queries: Any
) -> None:
    def create_failed(count: int) -> list[SampleJob]:
        columns = {"status": JobStatus.FAILED, "attempts": 3, "error": "No."}
        return [SampleJob.objects.create(**columns) for _ in range(count)]

    rows = SampleJob.objects.filter(status=JobStatus.FAILED)
    create_failed(1)
    query_count = count_queries(lambda: rows.requeue_all())
    jobs = create_failed(30)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert count_queries(lambda: rows.requeue_all(result="old")) == query_count
    assert sent_messages == [("tests.SampleJob", job.pk) for job in jobs]
    requeued = SampleJob.objects.filter(result="old").values_list("status", "attempts", "error")
    assert set(requeued) == {(JobStatus.QUEUED, 0, "")}


def test_cancel_all_cancels_active_jobs_and_runs_their_end_hooks() -> None:
    waiting, done = SampleJob.objects.create(), SampleJob.objects.create(status=JobStatus.COMPLETED)
    running = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert len(SampleJob.objects.all().cancel_all()) == 2
    end_counts = dict(SampleJob.objects.values_list("pk", "end_count"))
    assert end_counts == {waiting.pk: 1, running.pk: 1, done.pk: 0}
    assert running.finish() is False
    with pytest.raises(LostLease):
        running.renew()
    assert SampleJob.objects.all().cancel_all() == []


def test_postponing_a_job_does_not_count_the_attempt() -> None:
    job = SampleJob.objects.create(action="wait")
    for _ in range(SampleJob.max_attempts + 1):
        SampleJob.objects.filter(pk=job.pk).update(run_after=Now())
        runner.run(SampleJob, job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempts, job.started_at) == (JobStatus.QUEUED, 0, None)
    assert (job.error, job.run_id, job.lease_until) == ("", None, None)
    assert job.run_after - job.updated_at == timedelta(seconds=60)
    assert runner.run(SampleJob, job.pk) is None


def test_a_claim_counts_an_attempt_and_sets_a_lease() -> None:
    job = SampleJob.objects.create()
    claimed = SampleJob.objects.claim(job.pk)
    assert claimed.attempts == 1
    assert claimed.status == JobStatus.IN_PROGRESS
    assert claimed.run_id is not None
    assert claimed.lease_until > timezone.now()
    assert claimed.started_at is not None


def test_a_claimed_job_cannot_be_claimed_again() -> None:
    job = SampleJob.objects.create()
    assert SampleJob.objects.claim(job.pk) is not None
    assert SampleJob.objects.claim(job.pk) is None


@pytest.mark.django_db(transaction=True)
def test_one_of_many_concurrent_claims_succeeds() -> None:
    job = SampleJob.objects.create()

    def claim(_: int) -> bool:
        try:
            return SampleJob.objects.claim(job.pk) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(claim, range(24))) == 1
    job.refresh_from_db()
    assert job.attempts == 1


def test_a_job_that_is_not_due_is_not_claimed() -> None:
    job = SampleJob.objects.create(run_after=timezone.now() + timedelta(minutes=1))
    assert SampleJob.objects.claim(job.pk) is None


def test_a_job_with_an_expired_lease_can_be_claimed_and_the_first_run_writes_nothing() -> None:
    job = SampleJob.objects.create()
    first = SampleJob.objects.claim(job.pk)
    expire_lease(job)
    second = SampleJob.objects.claim(job.pk)
    assert second.attempts == 2
    assert first.finish(result="from the first") is False
    assert first.fail("from the first") is False
    assert first.retry_later("from the first") is False
    with pytest.raises(LostLease):
        first.renew()
    assert second.finish(result="from the second") is True
    job.refresh_from_db()
    assert (job.result, job.status, job.end_count) == ("from the second", JobStatus.COMPLETED, 1)


def test_renew_extends_the_lease_and_stores_columns() -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    expire_lease(job)
    job.renew(result="half")
    job.refresh_from_db()
    assert job.lease_until > timezone.now()
    assert job.result == "half"


@pytest.mark.parametrize(
    ("action", "status", "error"),
    [
        ("work", JobStatus.COMPLETED, ""),
        ("fail", JobStatus.FAILED, "It can't be done."),
        ("later", JobStatus.QUEUED, "Not now."),
        ("raise", JobStatus.QUEUED, "Unexpected error: ZeroDivisionError."),
    ],
)
def test_run_stores_the_result_or_error_of_the_handler(
    action: str, status: str, error: str
) -> None:
    job = SampleJob.objects.create(action=action)
    assert runner.run(SampleJob, job.pk) is not None
    job.refresh_from_db()
    assert (job.status, job.error, job.attempts) == (status, error, 1)
    assert (job.finished_at is not None) == (status in (JobStatus.COMPLETED, JobStatus.FAILED))


def test_run_of_a_finished_job_does_nothing() -> None:
    job = SampleJob.objects.create()
    runner.run(SampleJob, job.pk)
    assert runner.run(SampleJob, job.pk) is None
    job.refresh_from_db()
    assert (job.attempts, job.end_count) == (1, 1)


def test_run_of_a_deleted_job_does_nothing() -> None:
    job = SampleJob.objects.create()
    SampleJob.objects.all().delete()
    assert runner.run(SampleJob, job.pk) is None


@pytest.mark.parametrize(
    ("action", "status", "outcome"),
    [
        ("work", JobStatus.COMPLETED, "completed"),
        ("fail", JobStatus.FAILED, "failed"),
        ("later", JobStatus.IN_PROGRESS, "retried"),
    ],
)
def test_the_end_of_a_deleted_job_is_logged_and_counted(
    monkeypatch: pytest.MonkeyPatch, action: str, status: str, outcome: str
) -> None:
    def store(job: SampleJob, end: Any) -> bool:
        return end() and bool(SampleJob.objects.filter(pk=job.pk).delete())

    counted: list[str] = []
    monkeypatch.setattr(runner, "_store", store)
    monkeypatch.setattr(runner.metrics, "record_run", lambda *run, **_: counted.append(run[1]))
    with capture_logs() as lines:
        assert runner.run(SampleJob, SampleJob.objects.create(action=action).pk) is not None
    assert [(line["event"], line["status"], line["attempts"]) for line in lines] == [
        ("job", status, 1)
    ]
    assert counted == [outcome]


def test_a_job_without_attempts_left_fails_with_its_last_error() -> None:
    job = SampleJob.objects.create(action="later")
    for _ in range(SampleJob.max_attempts):
        runner.run(SampleJob, job.pk)
    job.refresh_from_db()
    assert (job.status, job.error, job.attempts) == (JobStatus.FAILED, "Not now.", 3)


def test_backoff_doubles_and_is_random() -> None:
    delays = [[SampleJob(attempts=n).backoff() for _ in range(50)] for n in (1, 2, 3)]
    assert all(2 <= delay <= 6 for delay in delays[0])
    assert all(8 <= delay <= 24 for delay in delays[2])
    assert len(set(delays[1])) > 1


def test_requeue_resets_the_job_and_ends_the_lease(sent_messages: list) -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create(result="old").pk)
    SampleJob.objects.get(pk=job.pk).requeue()
    assert job.finish(result="too late") is False
    job.refresh_from_db()
    assert (job.status, job.attempts, job.result) == (JobStatus.QUEUED, 0, "old")


def test_requeue_only_happens_in_the_given_state(sent_messages: list) -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert job.requeue(Q(status=JobStatus.FAILED)) is False
    assert (job.status, job.attempts) == (JobStatus.IN_PROGRESS, 1)
    job.fail("Broken.")
    assert job.requeue(Q(status=JobStatus.FAILED)) is True
    assert job.status == JobStatus.QUEUED


def test_a_job_can_end_in_a_further_status() -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert job.finish(status="partial", error="Half of it.") is True
    job.refresh_from_db()
    assert (job.status, job.error, job.end_count) == ("partial", "Half of it.", 1)
    assert not SampleJob.objects.due().exists()


def test_cancel_ends_a_running_job_once() -> None:
    running = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert SampleJob.objects.get(pk=running.pk).cancel() is True
    assert running.finish() is False
    running.refresh_from_db()
    assert (running.status, running.end_count) == (JobStatus.CANCELLED, 1)
    assert running.cancel() is False


def test_sweep_republishes_a_lost_message_and_then_waits(sent_messages: list) -> None:
    job = SampleJob.objects.create(publish_after=timezone.now() - timedelta(seconds=1))
    assert sweeper.sweep(SampleJob) == (0, 1)
    assert sent_messages == [("tests.SampleJob", job.pk)]
    assert sweeper.sweep(SampleJob) == (0, 0)
    job.refresh_from_db()
    assert job.publish_after > timezone.now() + timedelta(seconds=8)


def test_sweep_ignores_running_and_ended_jobs(sent_messages: list) -> None:
    SampleJob.objects.claim(SampleJob.objects.create().pk)
    runner.run(SampleJob, SampleJob.objects.create().pk)
    SampleJob.objects.update(publish_after=Now() - timedelta(hours=1))
    assert sweeper.sweep(SampleJob) == (0, 0)


def test_sweep_republishes_a_job_with_an_expired_lease(sent_messages: list) -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    expire_lease(job)
    assert sweeper.sweep(SampleJob) == (0, 1)


def test_sweep_fails_a_job_without_attempts_left(sent_messages: list) -> None:
    job = SampleJob.objects.create(attempts=2)
    SampleJob.objects.claim(job.pk)
    expire_lease(job)
    assert sweeper.sweep(SampleJob) == (1, 0)
    job.refresh_from_db()
    assert job.status == JobStatus.FAILED
    assert job.error == "The worker process died in the last of 3 attempts."
    assert job.end_count == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_sweepers_publish_each_job_once(sent_messages: list) -> None:
    SampleJob.objects.bulk_create(
        SampleJob(publish_after=timezone.now() - timedelta(seconds=1)) for _ in range(60)
    )

    def sweep(_: int) -> int:
        try:
            return sweeper.sweep(SampleJob)[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(sweep, range(4))) == 60
    assert len(set(sent_messages)) == len(sent_messages) == 60
