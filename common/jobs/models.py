import random
from datetime import timedelta
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from common.jobs.errors import LostLease
from common.jobs.handlers import run_end_hook, run_postpone_hook
from common.jobs.metrics import record_cancellation
from common.jobs.publishing import BULK_QUEUE, DEFAULT_QUEUE, publish
from common.jobs.querysets import MIN_REPUBLISH_DELAY, JobQuerySet, requeue_columns
from common.jobs.status import ACTIVE, JobStatus
from common.models import BaseModel

FIRST_RETRY_DELAY_S = 4.0
MAX_BACKOFF_S = 600.0
MAX_RETRY_DELAY_S = 3600.0
NO_CONDITION = Q()


class Job(BaseModel):
    """A row of durable work.

        queued ──claim──▶ in_progress ──▶ completed, or another end state of the model
          ▲  ▲                │  │  └────▶ failed
          │  └retry, postpone─┘  └───────▶ cancelled
          └── requeue, from any state

    A claim starts a run: it counts an attempt and sets a new `run_id` and a lease. During the
    lease only the run with that `run_id` may end the job; after it any worker may claim the job
    again. So a worker that was paused for longer than its lease changes nothing.

    A model may have further states, which neither workers nor the sweeper touch: it defines its
    own `status` field with all states as choices.
    """

    Status = JobStatus

    max_attempts: ClassVar[int] = 3
    # How long a run may take; with None the limit of all Celery tasks applies.
    time_limit: ClassVar[timedelta | None] = None
    # The queue of the messages; kinds that share one wait for each other's messages.
    queue_name: ClassVar[str] = DEFAULT_QUEUE
    # The nullable column that only bulk jobs set, if the model has bulk jobs.
    bulk_field: ClassVar[str | None] = None
    # The columns whose values get a turn each, the outermost first; see `common.jobs.fairness`.
    fairness_keys: ClassVar[tuple[str, ...]] = ()

    status = models.CharField(
        max_length=16, choices=JobStatus.choices, default=JobStatus.QUEUED, editable=False
    )
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    run_id = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    run_after = models.DateTimeField(db_default=Now(), editable=False)
    publish_after = models.DateTimeField(
        db_default=Now() + models.Value(MIN_REPUBLISH_DELAY), editable=False
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
            ),
            models.Index(
                fields=["lease_until"],
                condition=Q(status=JobStatus.IN_PROGRESS),
                name="%(app_label)s_%(class)s_running",
            ),
        ]

    @classmethod
    def lease(cls) -> timedelta:
        return settings.JOB_LEASE

    @classmethod
    def queues(cls) -> tuple[str, ...]:
        """Return the names of the queues that jobs of this model use."""
        return (cls.queue_name, BULK_QUEUE) if cls.bulk_field else (cls.queue_name,)

    @property
    def queue(self) -> str:
        """The queue of this job's messages, the same for every run."""
        is_bulk = self.bulk_field and getattr(self, self.bulk_field) is not None
        return BULK_QUEUE if is_bulk else self.queue_name

    def publish_on_commit(self) -> None:
        transaction.on_commit(self.publish)

    def publish(self) -> bool:
        """Send a message for this job; return `False` if the broker is unavailable.

        The worker that receives it runs the next job of the kind, which may be another one.
        """
        return publish(self._meta.label, queue=self.queue, time_limit=self.time_limit)

    def requeue(self, condition: Q = NO_CONDITION, **columns: Any) -> bool:
        """Start the job from the beginning if the row meets `condition`, and set `columns`.

        A current run loses its lease.
        """
        with transaction.atomic():
            requeued = self.transition(condition, **requeue_columns(), **columns)
            if requeued:
                self.publish_on_commit()
        self.refresh_from_db()
        return requeued

    def cancel(self) -> bool:
        """Cancel the job unless it has ended; a current run loses its lease."""
        cancelled = self.end(Q(status__in=ACTIVE), JobStatus.CANCELLED, run_id=None)
        if cancelled:
            record_cancellation(self._meta.label)
        return cancelled

    def renew(self, **columns: Any) -> None:
        """Extend the lease and set `columns`; raise `LostLease` if this run lost the job."""
        if not self.transition(self._held_by_run(), lease_until=Now() + self.lease(), **columns):
            raise LostLease

    def finish(self, *, status: str = JobStatus.COMPLETED, **columns: Any) -> bool:
        """Complete the job and set `columns`, if this run holds it."""
        return self.end(self._held_by_run(), status, **{"error": "", **columns})

    def fail(self, error: str) -> bool:
        """Fail the job, if this run holds it."""
        return self.end(self._held_by_run(), JobStatus.FAILED, error=error)

    def retry_later(self, error: str, *, delay: float | None = None) -> bool:
        """Queue the job again after `delay` seconds, or fail it if no attempt is left."""
        if self.attempts >= self.max_attempts:
            return self.fail(error)
        seconds = self.backoff() if delay is None else min(delay, MAX_RETRY_DELAY_S)
        return self._return_to_queue(seconds, error=error)

    def postpone(self, *, delay: float) -> bool:
        """Queue the job again after `delay` seconds, and do not count this run as an attempt."""
        reset_start = {"started_at": None} if self.attempts == 1 else {}
        postponed = self._return_to_queue(delay, attempts=F("attempts") - 1, **reset_start)
        if postponed:
            run_postpone_hook(self)
        return postponed

    def backoff(self) -> float:
        """Return the seconds until the next run: doubled for each attempt, with 50 % jitter."""
        delay = min(FIRST_RETRY_DELAY_S * 2 ** (self.attempts - 1), MAX_BACKOFF_S)
        return delay * random.uniform(0.5, 1.5)

    def _return_to_queue(self, delay: float, **columns: Any) -> bool:
        due = Now() + timedelta(seconds=delay)
        return self.transition(
            self._held_by_run(),
            status=JobStatus.QUEUED,
            run_id=None,
            lease_until=None,
            run_after=due,
            publish_after=due,
            **columns,
        )

    def _held_by_run(self) -> Q:
        """Return the condition that the run with this instance's `run_id` holds the job."""
        return Q(status=JobStatus.IN_PROGRESS, run_id=self.run_id)

    def transition(self, condition: Q, **columns: Any) -> bool:
        """Set `columns` if the row meets `condition`; return whether it did."""
        rows = type(self).objects.filter(condition, pk=self.pk)
        return rows.update(**{"updated_at": Now(), **columns}) == 1

    def end(self, condition: Q, status: str, **columns: Any) -> bool:
        """End the job in `status` if the row meets `condition`; return whether it did."""
        with transaction.atomic():
            ended = self.transition(
                condition, status=status, finished_at=Now(), lease_until=None, **columns
            )
            if ended:
                self.refresh_from_db()
                run_end_hook(self)
        return ended


def job_models() -> list[type[Job]]:
    """Return all concrete job models of the installation."""
    return [model for model in apps.get_models() if issubclass(model, Job)]
