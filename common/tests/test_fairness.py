"""The order in which jobs are claimed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models.functions import Now

from common.ids import uuid7
from common.jobs import runner
from common.jobs.models import job_models
from common.jobs.publishing import BULK_QUEUE, DEFAULT_QUEUE
from common.jobs.status import JobStatus
from common.models import Turn
from common.tests.models import FairJob, SampleJob
from config.celery import app
from config.local.run import read_procfile

pytestmark = pytest.mark.django_db

ACME, RIVAL, HOUSE = (uuid7() for _ in range(3))
ANN, BOB, CARL, DORA = (uuid7() for _ in range(4))
COMPANIES = {ANN: ACME, BOB: ACME, CARL: RIVAL, DORA: HOUSE}


def queue(person: UUID, count: int, **columns: Any) -> list[FairJob]:
    return FairJob.objects.bulk_create(
        FairJob(company_id=COMPANIES[person], user_id=person, **columns) for _ in range(count)
    )


def claim_all(queue: str = DEFAULT_QUEUE) -> Iterator[FairJob]:
    """Claim one job after the other; each ends before the next is claimed."""
    while job := FairJob.objects.claim_next(queue):
        job.finish()
        yield job


def served(queue: str = DEFAULT_QUEUE) -> list[UUID]:
    return [job.user_id for job in claim_all(queue)]


def test_companies_take_turns_and_then_the_people_in_a_company() -> None:
    queue(ANN, 4)
    queue(BOB, 2)
    queue(CARL, 3)
    assert served() == [ANN, CARL, BOB, CARL, ANN, CARL, BOB, ANN, ANN]


def test_the_jobs_of_one_person_run_in_the_order_in_which_they_are_due() -> None:
    jobs = queue(ANN, 3)
    FairJob.objects.filter(pk=jobs[2].pk).update(run_after=Now() - timedelta(minutes=1))
    assert [job.pk for job in claim_all()] == [jobs[2].pk, jobs[0].pk, jobs[1].pk]


def test_who_was_served_least_recently_is_next_even_if_all_others_wait_longer() -> None:
    queue(ANN, 3)
    queue(CARL, 3)
    for _ in range(2):
        FairJob.objects.claim_next(DEFAULT_QUEUE).finish()
    queue(DORA, 1)
    assert served()[0] == DORA


def test_a_company_with_running_jobs_waits_for_those_without() -> None:
    queue(ANN, 3)
    queue(CARL, 1)
    assert [FairJob.objects.claim_next(DEFAULT_QUEUE).user_id for _ in range(2)] == [ANN, CARL]
    # Rival was served last, but nothing of it runs after this.
    FairJob.objects.get(user_id=CARL).cancel()
    queue(CARL, 1)
    assert FairJob.objects.claim_next(DEFAULT_QUEUE).user_id == CARL


def test_a_person_with_running_jobs_waits_for_the_others_in_the_company() -> None:
    queue(ANN, 3)
    assert FairJob.objects.claim_next(DEFAULT_QUEUE).user_id == ANN
    queue(BOB, 2)
    assert [FairJob.objects.claim_next(DEFAULT_QUEUE).user_id for _ in range(2)] == [BOB, ANN]


def test_jobs_of_dead_workers_do_not_count_as_running() -> None:
    queue(ANN, 2)
    queue(CARL, 2)
    past = Now() - timedelta(seconds=1)
    queue(DORA, 1, status=JobStatus.IN_PROGRESS, lease_until=past, attempts=1)
    assert {FairJob.objects.claim_next(DEFAULT_QUEUE).user_id for _ in range(3)} == {
        ANN,
        CARL,
        DORA,
    }


def test_the_turns_of_bulk_jobs_are_separate() -> None:
    queue(ANN, 2, batch_id=uuid7())
    queue(CARL, 2, batch_id=uuid7())
    queue(ANN, 1)
    assert served(DEFAULT_QUEUE) == [ANN]
    assert served(BULK_QUEUE) == [ANN, CARL, ANN, CARL]


def test_a_company_whose_jobs_are_not_due_yet_is_passed_over() -> None:
    later = queue(ANN, 2, run_after=Now() + timedelta(minutes=1))
    queue(CARL, 2)
    assert served() == [CARL, CARL]
    FairJob.objects.filter(pk=later[0].pk).update(run_after=Now())
    assert served() == [ANN]


@pytest.mark.parametrize("columns", [{"status": JobStatus.CANCELLED}, {"status": "completed"}])
def test_jobs_that_have_ended_are_not_chosen(columns: dict[str, Any]) -> None:
    queue(ANN, 2, **columns)
    assert FairJob.objects.claim_next(DEFAULT_QUEUE) is None
    assert not Turn.objects.exists()


@pytest.mark.parametrize(
    ("attempts", "claimed"), [(FairJob.max_attempts - 1, True), (FairJob.max_attempts, False)]
)
def test_an_expired_lease_is_claimed_if_an_attempt_is_left(attempts: int, claimed: bool) -> None:
    past = Now() - timedelta(seconds=1)
    (dead,) = queue(
        ANN, 1, status=JobStatus.IN_PROGRESS, run_id=uuid7(), lease_until=past, attempts=attempts
    )
    job = FairJob.objects.claim_next(DEFAULT_QUEUE)
    assert (job is not None) == claimed
    assert job is None or (job.pk, job.attempts) == (dead.pk, attempts + 1)


def test_a_job_without_fairness_keys_is_chosen_by_the_time_when_it_is_due() -> None:
    first, second = SampleJob.objects.create(), SampleJob.objects.create()
    SampleJob.objects.filter(pk=second.pk).update(run_after=Now() - timedelta(minutes=1))
    assert runner.run_next(SampleJob, DEFAULT_QUEUE) == second
    assert runner.run_next(SampleJob, DEFAULT_QUEUE) == first
    assert runner.run_next(SampleJob, DEFAULT_QUEUE) is None


def test_a_claim_needs_as_many_queries_for_one_job_as_for_thirty(count_queries: Any) -> None:
    queue(ANN, 1)
    query_count = count_queries(lambda: FairJob.objects.claim_next(DEFAULT_QUEUE))
    for person in COMPANIES:
        queue(person, 30)
    assert count_queries(lambda: FairJob.objects.claim_next(DEFAULT_QUEUE)) == query_count


@pytest.mark.django_db(transaction=True)
def test_concurrent_claims_take_each_job_once_and_miss_none() -> None:
    for person in COMPANIES:
        queue(person, 10)

    def claim(_: int) -> Any:
        try:
            return FairJob.objects.claim_next(DEFAULT_QUEUE)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(claim, range(40)))
    assert len({job.pk for job in claimed}) == 40
    assert FairJob.objects.claim_next(DEFAULT_QUEUE) is None


@pytest.mark.parametrize("model", [model for model in job_models() if model.fairness_keys])
def test_every_kind_with_turns_has_an_index_for_each_queue(model: Any) -> None:
    keys = (*model.fairness_keys, "run_after")
    columns = [model._meta.get_field(key).name for key in keys]
    indexes = [index for index in model._meta.indexes if index.fields == columns]
    assert len(indexes) == len(model.queues())


def test_every_queue_of_a_job_is_declared_and_read_by_one_process() -> None:
    declared = {queue.name for queue in app.conf.task_queues}
    assert {name for model in job_models() for name in model.queues()} <= declared
    commands = [command.split() for command in read_procfile().values()]
    read = [
        queue
        for command in commands
        if "--queues" in command
        for queue in command[command.index("--queues") + 1].split(",")
    ]
    assert sorted(read) == sorted(declared)
