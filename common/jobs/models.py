import random
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest, Least, Now

from common import metrics
from common.ids import uuid7
from common.jobs.errors import LostLease
from common.jobs.handlers import run_end_hook, run_postpone_hook
from common.jobs.publishing import BULK, JOBS, publish
from common.logs import current_request_id
from common.models import BaseModel

FIRST_REPUBLISH = timedelta(seconds=10)
LAST_REPUBLISH = timedelta(minutes=10)
RETRY_BASE = 4.0
RETRY_CAP = 600.0
LONGEST_DELAY = 3600.0


class JobStatus(models.TextChoices):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (JobStatus.QUEUED, JobStatus.IN_PROGRESS)
ANY_STATE = Q()


def queued_afresh() -> dict[str, Any]:
    """The columns of a job that starts from the beginning."""
    return {
        "status": JobStatus.QUEUED,
        "attempts": 0,
        "run_id": None,
        "lease_until": None,
        "run_after": Now(),
        "publish_after": Now() + FIRST_REPUBLISH,
        "started_at": None,
        "finished_at": None,
        "error": "",
        "request_id": current_request_id(),
        "updated_at": Now(),
    }


class JobQuerySet(models.QuerySet):
    """Each transition is one UPDATE naming the state it starts from; the clock is the server's."""

    def enqueue(self, **fields: Any) -> Any:
        """Insert a job within the caller's transaction and publish it once that commits."""
        job = self.create(request_id=current_request_id(), **fields)
        job.publish_on_commit()
        return job

    def enqueue_many(self, jobs: list[Any]) -> list[Any]:
        """As `enqueue`, for unsaved jobs of one kind, by one statement."""
        for job in jobs:
            job.request_id = current_request_id()
        self.bulk_create(jobs)
        self._publish_on_commit(jobs)
        return jobs

    def requeue_all(self, **columns: Any) -> int:
        """As `Job.requeue`, for each of these rows; returns how many there were."""
        with transaction.atomic():
            jobs = self._locked()
            rows = self.model.objects.filter(pk__in=[job.pk for job in jobs])
            rows.update(**queued_afresh(), **columns)
            self._publish_on_commit(jobs)
        return len(jobs)

    def cancel_all(self) -> int:
        """As `Job.cancel`, for each of these rows; returns how many had not ended."""
        with transaction.atomic():
            active = self.filter(status__in=ACTIVE)._locked()
            jobs = self.model.objects.filter(pk__in=[job.pk for job in active])
            cancelled = jobs.update(
                status=JobStatus.CANCELLED,
                run_id=None,
                lease_until=None,
                finished_at=Now(),
                updated_at=Now(),
            )
            for job in jobs:
                run_end_hook(job)
        return cancelled

    def _locked(self) -> list[Any]:
        return list(self.select_for_update(of=("self",)).order_by("pk").to_publish())

    def _publish_on_commit(self, jobs: list[Any]) -> None:
        transaction.on_commit(lambda: [job.publish() for job in jobs])

    def to_publish(self) -> Self:
        """With no more columns than `publish` needs."""
        columns = ["pk", self.model.bulk_by] if self.model.bulk_by else ["pk"]
        return self.select_related(None).only(*columns)

    def in_queue(self, queue: str) -> Self:
        """Those whose messages go by this queue, as `Job.queue` says."""
        if not self.model.bulk_by:
            return self if queue == JOBS else self.none()
        return self.filter(**{f"{self.model.bulk_by}__isnull": queue == JOBS})

    def due(self) -> Self:
        """Queued and due, or abandoned by a worker whose lease is over."""
        return self.filter(
            Q(status=JobStatus.QUEUED, run_after__lte=Now())
            | Q(status=JobStatus.IN_PROGRESS, lease_until__lt=Now())
        )

    def unpublished(self) -> Self:
        """Due, and without a message for so long that it was probably lost."""
        return self.due().filter(publish_after__lte=Now(), attempts__lt=self.model.max_attempts)

    def exhausted(self) -> Self:
        """Abandoned by a worker, with no try left."""
        return self.filter(
            status=JobStatus.IN_PROGRESS,
            lease_until__lt=Now(),
            attempts__gte=self.model.max_attempts,
        )

    def claim(self, pk: Any) -> Any | None:
        """Take a job for a new run; `None` where there is nothing to do."""
        run_id = uuid7()
        taken = (
            self.due()
            .filter(pk=pk, attempts__lt=self.model.max_attempts)
            .update(
                status=JobStatus.IN_PROGRESS,
                run_id=run_id,
                attempts=F("attempts") + 1,
                lease_until=Now() + self.model.lease(),
                # Its message is used up, so an orphan gets the next as soon as the lease is over.
                publish_after=Now(),
                started_at=Coalesce("started_at", Now()),
                error="",
                updated_at=Now(),
            )
        )
        return self.filter(pk=pk, run_id=run_id).first() if taken else None

    def mark_published(self) -> int:
        """Give the messages time: as long again as the job has waited, from 10 s to 10 minutes."""
        waited = Now() - F("run_after")
        pause = Least(Greatest(waited, FIRST_REPUBLISH), LAST_REPUBLISH)
        return self.update(publish_after=Now() + pause)


class Job(BaseModel):
    """A row of durable work.

        queued ──claim──▶ in_progress ──▶ completed, or what a kind of job ends as besides
          ▲  ▲                │  │  └────▶ failed
          │  └retry, postpone─┘  └───────▶ cancelled
          └── requeue, from any state

    A claim counts a try, sets a new `run_id` and a lease. While the lease runs, only the run
    that holds the `run_id` may write an end; when it is over, anyone may claim. A worker that
    was paused past its lease therefore changes nothing.

    A kind may have further states, in which nobody looks after it: a `status` field of its own,
    whose choices hold these.
    """

    Status = JobStatus

    max_attempts: ClassVar[int] = 3
    # How long a run may take; None for what any task of Celery's may.
    time_limit: ClassVar[timedelta | None] = None
    # The column that holds something in a row of many that came together; None where none do.
    bulk_by: ClassVar[str | None] = None

    status = models.CharField(
        max_length=16, choices=JobStatus.choices, default=JobStatus.QUEUED, editable=False
    )
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    run_id = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    run_after = models.DateTimeField(db_default=Now(), editable=False)
    publish_after = models.DateTimeField(
        db_default=Now() + models.Value(FIRST_REPUBLISH), editable=False
    )
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    request_id = models.CharField(max_length=128, blank=True, editable=False)

    objects = JobQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        abstract = True
        indexes = [
            models.Index(
                fields=["publish_after"],
                condition=Q(status__in=ACTIVE),
                name="%(app_label)s_%(class)s_active",
            )
        ]

    @classmethod
    def lease(cls) -> timedelta:
        return settings.JOB_LEASE

    @classmethod
    def queues(cls) -> tuple[str, ...]:
        """By which the messages of this kind go."""
        return (JOBS, BULK) if cls.bulk_by else (JOBS,)

    @property
    def queue(self) -> str:
        """By which the message of this row goes, at whatever try."""
        return BULK if self.bulk_by and getattr(self, self.bulk_by) is not None else JOBS

    def publish_on_commit(self) -> None:
        transaction.on_commit(self.publish)

    def publish(self) -> bool:
        """Send the message "look at this row"; `False` where the broker is away."""
        return publish(self._meta.label, self.pk, queue=self.queue, time_limit=self.time_limit)

    def requeue(self, condition: Q = ANY_STATE, **columns: Any) -> bool:
        """Start from the beginning, if the row meets `condition`; a run loses its lease.

        `columns` are written with it.
        """
        with transaction.atomic():
            moved = self._move(condition, **queued_afresh(), **columns)
            if moved:
                self.publish_on_commit()
        self.refresh_from_db()
        return moved

    def cancel(self) -> bool:
        """End the job unless it has ended; a run under way loses its lease."""
        cancelled = self._end(Q(status__in=ACTIVE), JobStatus.CANCELLED, run_id=None)
        if cancelled:
            metrics.job_cancelled(self._meta.label)
        return cancelled

    def renew(self, **figures: Any) -> None:
        """Extend the lease and store progress; `LostLease` where the job is not this run's."""
        if not self._move(self._mine(), lease_until=Now() + self.lease(), **figures):
            raise LostLease

    def finish(self, *, status: str = JobStatus.COMPLETED, **fields: Any) -> bool:
        """Complete the job, if it is still this run's."""
        return self._end(self._mine(), status, **{"error": "", **fields})

    def fail(self, error: str) -> bool:
        """End the job as failed, if it is still this run's."""
        return self._end(self._mine(), JobStatus.FAILED, error=error)

    def retry_later(self, error: str, *, delay: float | None = None) -> bool:
        """Queue the job again after `delay` seconds; failed where its tries are used up."""
        if self.attempts >= self.max_attempts:
            return self.fail(error)
        pause = self.backoff() if delay is None else min(delay, LONGEST_DELAY)
        return self._put_back(pause, error=error)

    def postpone(self, *, delay: float) -> bool:
        """Queue the job again after `delay` seconds, as if this run had not begun."""
        never_begun = {"started_at": None} if self.attempts == 1 else {}
        postponed = self._put_back(delay, attempts=F("attempts") - 1, **never_begun)
        if postponed:
            run_postpone_hook(self)
        return postponed

    def _put_back(self, delay: float, **columns: Any) -> bool:
        due = Now() + timedelta(seconds=delay)
        return self._move(
            self._mine(),
            status=JobStatus.QUEUED,
            run_id=None,
            lease_until=None,
            run_after=due,
            publish_after=due,
            **columns,
        )

    def backoff(self) -> float:
        """Seconds until the next try: doubled each time, spread so that jobs keep no step."""
        return min(RETRY_BASE * 2 ** (self.attempts - 1), RETRY_CAP) * random.uniform(0.5, 1.5)

    def _mine(self) -> Q:
        return Q(status=JobStatus.IN_PROGRESS, run_id=self.run_id)

    def _move(self, condition: Q, **fields: Any) -> bool:
        rows = type(self).objects.filter(condition, pk=self.pk)
        return rows.update(**{"updated_at": Now(), **fields}) == 1

    def _end(self, condition: Q, status: str, **fields: Any) -> bool:
        with transaction.atomic():
            ended = self._move(
                condition, status=status, finished_at=Now(), lease_until=None, **fields
            )
            if ended:
                self.refresh_from_db()
                run_end_hook(self)
        return ended
