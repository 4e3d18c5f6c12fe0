"""The transitions of a job, one by one; `test_jobs_durability` has them survive real crashes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from structlog.testing import capture_logs

from common.jobs import LostLease, runner
from common.jobs.status import JobStatus
from common.tests.models import SampleJob

pytestmark = pytest.mark.django_db


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The messages that were sent to the broker: no worker runs here, so they only pile up."""
    sent: list[tuple[str, str]] = []

    def publish(label: str, pk: Any, **_: Any) -> bool:
        sent.append((label, pk))
        return True

    monkeypatch.setattr("common.jobs.models.publish", publish)
    return sent


def lapse(job: SampleJob) -> None:
    """Let the lease of a job be over, as if its worker had died a while ago."""
    past = Now() - timedelta(seconds=1)
    SampleJob.objects.filter(pk=job.pk).update(lease_until=past, publish_after=past)


def test_enqueue_publishes_once_the_transaction_commits(
    published: list, django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        job = SampleJob.objects.enqueue()
        assert published == []
    assert published == [("tests.SampleJob", job.pk)]
    assert job.status == JobStatus.QUEUED


def test_a_rolled_back_transaction_leaves_no_row_and_no_message(
    published: list, django_capture_on_commit_callbacks: object
) -> None:
    with (
        django_capture_on_commit_callbacks(execute=True),  # type: ignore[operator]
        transaction.atomic(),
    ):
        SampleJob.objects.enqueue()
        transaction.set_rollback(True)
    assert published == []
    assert not SampleJob.objects.exists()


def test_many_are_enqueued_by_one_statement(
    published: list, django_capture_on_commit_callbacks: object, queries: Any
) -> None:
    jobs = [SampleJob(action="fail") for _ in range(30)]
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert queries(lambda: SampleJob.objects.enqueue_many(jobs)) == 1
    assert published == [("tests.SampleJob", job.pk) for job in jobs]
    runner.run(SampleJob, jobs[7].pk)
    assert SampleJob.objects.filter(status=JobStatus.FAILED).get() == jobs[7]


def test_many_are_queued_again_by_as_many_statements_as_one(
    published: list, django_capture_on_commit_callbacks: object, queries: Any
) -> None:
    def failed(count: int) -> list[SampleJob]:
        ended = {"status": JobStatus.FAILED, "attempts": 3, "error": "No."}
        return [SampleJob.objects.create(**ended) for _ in range(count)]

    rows = SampleJob.objects.filter(status=JobStatus.FAILED)
    failed(1)
    few = queries(lambda: rows.requeue_all())
    jobs = failed(30)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert queries(lambda: rows.requeue_all(result="old")) == few
    assert published == [("tests.SampleJob", job.pk) for job in jobs]
    found = SampleJob.objects.filter(result="old").values_list("status", "attempts", "error")
    assert set(found) == {(JobStatus.QUEUED, 0, "")}


def test_many_are_cancelled_and_told_of_their_end() -> None:
    waiting, done = SampleJob.objects.create(), SampleJob.objects.create(status=JobStatus.COMPLETED)
    running = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert SampleJob.objects.all().cancel_all() == 2
    ends = dict(SampleJob.objects.values_list("pk", "ends"))
    assert ends == {waiting.pk: 1, running.pk: 1, done.pk: 0}
    assert running.finish() is False
    with pytest.raises(LostLease):
        running.renew()
    assert SampleJob.objects.all().cancel_all() == 0


def test_a_postponed_job_keeps_its_tries() -> None:
    job = SampleJob.objects.create(action="wait")
    for _ in range(SampleJob.max_attempts + 1):
        SampleJob.objects.filter(pk=job.pk).update(run_after=Now())
        runner.run(SampleJob, job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempts, job.started_at) == (JobStatus.QUEUED, 0, None)
    assert (job.error, job.run_id, job.lease_until) == ("", None, None)
    assert job.run_after - job.updated_at == timedelta(seconds=60)
    assert runner.run(SampleJob, job.pk) is None


def test_a_claim_counts_a_try_and_sets_a_lease() -> None:
    job = SampleJob.objects.create()
    claimed = SampleJob.objects.claim(job.pk)
    assert claimed.attempts == 1
    assert claimed.status == JobStatus.IN_PROGRESS
    assert claimed.run_id is not None
    assert claimed.lease_until > timezone.now()
    assert claimed.started_at is not None


def test_only_one_claim_gets_the_job() -> None:
    job = SampleJob.objects.create()
    assert SampleJob.objects.claim(job.pk) is not None
    assert SampleJob.objects.claim(job.pk) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_at_once_one_gets_the_job() -> None:
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


def test_a_lapsed_lease_can_be_claimed_and_the_first_run_writes_nothing() -> None:
    job = SampleJob.objects.create()
    first = SampleJob.objects.claim(job.pk)
    lapse(job)
    second = SampleJob.objects.claim(job.pk)
    assert second.attempts == 2
    assert first.finish(result="from the first") is False
    assert first.fail("from the first") is False
    assert first.retry_later("from the first") is False
    with pytest.raises(LostLease):
        first.renew()
    assert second.finish(result="from the second") is True
    job.refresh_from_db()
    assert (job.result, job.status, job.ends) == ("from the second", JobStatus.COMPLETED, 1)


def test_renewing_moves_the_lease_and_stores_figures() -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    lapse(job)
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
def test_run_stores_how_the_work_ended(action: str, status: str, error: str) -> None:
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
    assert (job.attempts, job.ends) == (1, 1)


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
def test_a_job_that_is_deleted_as_it_ends_is_told_of(
    monkeypatch: pytest.MonkeyPatch, action: str, status: str, outcome: str
) -> None:
    def store(job: SampleJob, end: Any) -> bool:
        return end() and bool(SampleJob.objects.filter(pk=job.pk).delete())

    counted: list[str] = []
    monkeypatch.setattr(runner, "_store", store)
    monkeypatch.setattr(runner.metrics, "job_ended", lambda *end, **_: counted.append(end[1]))
    with capture_logs() as told:
        assert runner.run(SampleJob, SampleJob.objects.create(action=action).pk) is not None
    assert [(line["event"], line["status"], line["attempts"]) for line in told] == [
        ("job", status, 1)
    ]
    assert counted == [outcome]


def test_a_job_whose_tries_are_used_up_has_failed_with_its_last_reason() -> None:
    job = SampleJob.objects.create(action="later")
    for _ in range(SampleJob.max_attempts):
        runner.run(SampleJob, job.pk)
    job.refresh_from_db()
    assert (job.status, job.error, job.attempts) == (JobStatus.FAILED, "Not now.", 3)


def test_backoff_doubles_and_is_spread() -> None:
    waits = [[SampleJob(attempts=n).backoff() for _ in range(50)] for n in (1, 2, 3)]
    assert all(2 <= wait <= 6 for wait in waits[0])
    assert all(8 <= wait <= 24 for wait in waits[2])
    assert len(set(waits[1])) > 1


def test_requeue_starts_afresh_and_takes_the_lease_away(published: list) -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create(result="old").pk)
    SampleJob.objects.get(pk=job.pk).requeue()
    assert job.finish(result="too late") is False
    job.refresh_from_db()
    assert (job.status, job.attempts, job.result) == (JobStatus.QUEUED, 0, "old")


def test_requeue_only_from_a_state_that_is_named(published: list) -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert job.requeue(Q(status=JobStatus.FAILED)) is False
    assert (job.status, job.attempts) == (JobStatus.IN_PROGRESS, 1)
    job.fail("Broken.")
    assert job.requeue(Q(status=JobStatus.FAILED)) is True
    assert job.status == JobStatus.QUEUED


def test_a_kind_of_job_may_end_in_a_way_of_its_own() -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert job.finish(status="partial", error="Half of it.") is True
    job.refresh_from_db()
    assert (job.status, job.error, job.ends) == ("partial", "Half of it.", 1)
    assert not SampleJob.objects.due().exists()


def test_cancel_ends_what_has_not_ended() -> None:
    running = SampleJob.objects.claim(SampleJob.objects.create().pk)
    assert SampleJob.objects.get(pk=running.pk).cancel() is True
    assert running.finish() is False
    running.refresh_from_db()
    assert (running.status, running.ends) == (JobStatus.CANCELLED, 1)
    assert running.cancel() is False


def test_sweep_publishes_what_was_dropped_and_gives_it_time(published: list) -> None:
    job = SampleJob.objects.create(publish_after=timezone.now() - timedelta(seconds=1))
    assert sweeper.sweep(SampleJob) == (0, 1)
    assert published == [("tests.SampleJob", job.pk)]
    assert sweeper.sweep(SampleJob) == (0, 0)
    job.refresh_from_db()
    assert job.publish_after > timezone.now() + timedelta(seconds=8)


def test_sweep_leaves_alone_what_runs_and_what_has_ended(published: list) -> None:
    SampleJob.objects.claim(SampleJob.objects.create().pk)
    runner.run(SampleJob, SampleJob.objects.create().pk)
    SampleJob.objects.update(publish_after=Now() - timedelta(hours=1))
    assert sweeper.sweep(SampleJob) == (0, 0)


def test_sweep_publishes_an_orphan(published: list) -> None:
    job = SampleJob.objects.claim(SampleJob.objects.create().pk)
    lapse(job)
    assert sweeper.sweep(SampleJob) == (0, 1)


def test_sweep_fails_a_job_whose_worker_died_each_time(published: list) -> None:
    job = SampleJob.objects.create(attempts=2)
    SampleJob.objects.claim(job.pk)
    lapse(job)
    assert sweeper.sweep(SampleJob) == (1, 0)
    job.refresh_from_db()
    assert job.status == JobStatus.FAILED
    assert job.error == "The worker process died in the last of 3 attempts."
    assert job.ends == 1


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_publish_each_job_once(published: list) -> None:
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
    assert len(set(published)) == len(published) == 60
