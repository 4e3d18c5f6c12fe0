from datetime import timedelta
from typing import Any, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest, Least, Now

from common.ids import uuid7
from common.jobs import fairness
from common.jobs.handlers import run_end_hook
from common.jobs.publishing import BULK_QUEUE
from common.jobs.status import ACTIVE, JobStatus
from common.logs import current_request_id

MIN_REPUBLISH_DELAY = timedelta(seconds=10)
MAX_REPUBLISH_DELAY = timedelta(minutes=10)


def requeue_columns() -> dict[str, Any]:
    """Return the columns of a job that starts from the beginning."""
    return {
        "status": JobStatus.QUEUED,
        "attempts": 0,
        "run_id": None,
        "lease_until": None,
        "run_after": Now(),
        "publish_after": Now() + MIN_REPUBLISH_DELAY,
        "started_at": None,
        "finished_at": None,
        "error": "",
        "request_id": current_request_id(),
        "updated_at": Now(),
    }


class JobQuerySet(models.QuerySet):
    """Transitions and selections of jobs.

    A transition is an UPDATE that selects the old state. All times come from the clock of the
    database server.
    """

    def enqueue(self, **fields: Any) -> Any:
        """Insert a job and publish its message when the transaction commits."""
        job = self.create(request_id=current_request_id(), **fields)
        job.publish_on_commit()
        return job

    def enqueue_many(self, jobs: list[Any]) -> list[Any]:
        """Insert unsaved jobs with one statement and publish their messages on commit."""
        for job in jobs:
            job.request_id = current_request_id()
        self.bulk_create(jobs)
        self._publish_on_commit(jobs)
        return jobs

    def requeue_all(self, **columns: Any) -> list[Any]:
        """Requeue each of these jobs and set `columns`; return them as they were before."""
        with transaction.atomic():
            jobs = self._lock()
            rows = self.model.objects.filter(pk__in=[job.pk for job in jobs])
            rows.update(**requeue_columns(), **columns)
            self._publish_on_commit(jobs)
        return jobs

    def cancel_all(self) -> list[Any]:
        """Cancel those of these jobs that have not ended; return them."""
        with transaction.atomic():
            active = self.filter(status__in=ACTIVE)._lock()
            rows = self.model.objects.filter(pk__in=[job.pk for job in active])
            rows.update(
                status=JobStatus.CANCELLED,
                run_id=None,
                lease_until=None,
                finished_at=Now(),
                updated_at=Now(),
            )
            jobs = list(rows)
            for job in jobs:
                run_end_hook(job)
        return jobs

    def _lock(self) -> list[Any]:
        return list(self.select_for_update(of=("self",)).order_by("pk").select_related(None))

    def _publish_on_commit(self, jobs: list[Any]) -> None:
        transaction.on_commit(lambda: [job.publish() for job in jobs])

    def only_for_publish(self) -> Self:
        """Load only the columns that `Job.publish` needs."""
        columns = ["pk", self.model.bulk_field] if self.model.bulk_field else ["pk"]
        return self.select_related(None).only(*columns)

    def in_queue(self, queue: str) -> Self:
        """Select the jobs whose messages go to `queue`; see `Job.queue`."""
        if not self.model.bulk_field:
            return self if queue == self.model.queue_name else self.none()
        return self.filter(**{f"{self.model.bulk_field}__isnull": queue != BULK_QUEUE})

    def due(self) -> Self:
        """Select queued jobs that are due, and running jobs whose lease has expired.

        The latter only if they have attempts left.
        """
        expired = Q(status=JobStatus.IN_PROGRESS, lease_until__lt=Now())
        return self.filter(
            Q(status=JobStatus.QUEUED, run_after__lte=Now())
            | expired & Q(attempts__lt=self.model.max_attempts)
        )

    def unpublished(self) -> Self:
        """Select due jobs whose last message is so old that it is probably lost."""
        return self.due().filter(publish_after__lte=Now())

    def exhausted(self) -> Self:
        """Select jobs whose lease has expired and that have no attempt left."""
        return self.filter(
            status=JobStatus.IN_PROGRESS,
            lease_until__lt=Now(),
            attempts__gte=self.model.max_attempts,
        )

    def claim(self, pk: Any) -> Any | None:
        """Start a run of a job; return the job, or `None` if it cannot run now."""
        run_id = uuid7()
        claimed = (
            self.due()
            .filter(pk=pk)
            .update(
                status=JobStatus.IN_PROGRESS,
                run_id=run_id,
                attempts=F("attempts") + 1,
                lease_until=Now() + self.model.lease(),
                # The message is consumed: if the lease expires, the sweeper may send another.
                publish_after=Now(),
                started_at=Coalesce("started_at", Now()),
                error="",
                updated_at=Now(),
            )
        )
        return self.filter(pk=pk, run_id=run_id).first() if claimed else None

    @transaction.atomic
    def claim_next(self, queue: str) -> Any | None:
        """Start a run of the job whose turn it is; return it, or `None` if no job is due."""
        # Another worker may claim the chosen job first.
        while (pk := fairness.choose(self.model, queue)) is not None:
            if job := self.claim(pk):
                fairness.record_turn(job)
                return job
        return None

    def mark_published(self) -> int:
        """Postpone the next message by the time that the job has waited, within limits."""
        waiting_time = Now() - F("run_after")
        delay = Least(Greatest(waiting_time, MIN_REPUBLISH_DELAY), MAX_REPUBLISH_DELAY)
        return self.update(publish_after=Now() + delay)
