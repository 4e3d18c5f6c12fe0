"""Running a job once and sweeping up what workers and brokers have dropped."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Self, TypeVar

import stamina
import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import Error, OperationalError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from common import metrics
from common.jobs.errors import JobFailed, LostLease, Postponed, RetryLater
from common.jobs.handlers import perform
from common.jobs.models import ACTIVE, Job, JobQuerySet
from common.jobs.publishing import backlog
from common.redaction import redacted_message

log = structlog.get_logger(__name__)
T = TypeVar("T")

SWEEP_BATCH = 500
LONGEST_QUEUE = 1000


def kinds() -> list[type[Job]]:
    """All models that are jobs."""
    return [model for model in apps.get_models() if issubclass(model, Job)]


class Heartbeat:
    """Renews a job's lease from a thread while a provider or a parser keeps its function busy."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name=f"lease-{job.pk}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self.job.lease().total_seconds() / 3):
            try:
                self.job.renew()
            except LostLease:
                return
            except Error as error:
                log.warning(
                    "lease_not_renewed", job=str(self.job.pk), error=redacted_message(error)
                )
            finally:
                connection.close()


def run(model: type[Job], pk: Any) -> Job | None:
    """Claim a job, do its work and store how it ended; `None` where there was nothing to do."""
    job = model.objects.claim(pk)
    if job is None:
        return None
    with structlog.contextvars.bound_contextvars(**_context(job)):
        wait, started = _waited(job), time.monotonic()
        with Heartbeat(job):
            end = _attempt(job)
        run_time = time.monotonic() - started
        stored = _store(job, end)
        _log_end(job, stored)
        metrics.job_ended(job._meta.label, _outcome(job, stored), wait=wait, run=run_time)
    return job


def _waited(job: Job) -> float:
    """Seconds from when the job was due until it was claimed, by the database's clock alone."""
    assert job.lease_until is not None
    return (job.lease_until - job.lease() - job.run_after).total_seconds()


def _outcome(job: Job, stored: bool) -> str:
    if not stored:
        return "lost"
    # It may have been claimed again, or deleted, before anyone could look.
    return "retried" if job.status in ACTIVE else str(job.status)


def _context(job: Job) -> dict[str, Any]:
    company, user = getattr(job, "company_id", None), getattr(job, "user_id", None)
    return {
        "request_id": job.request_id,
        "kind": job._meta.label,
        "job": str(job.pk),
        "company": str(company) if company else None,
        "user": str(user) if user else None,
    }


def _attempt(job: Job) -> Callable[[], bool]:
    """Do the work and return the transition that ends this run."""
    try:
        return partial(job.finish, **perform(job).columns())
    except LostLease:
        return lambda: False
    except JobFailed as error:
        return partial(job.fail, str(error))
    except RetryLater as error:
        return partial(job.retry_later, str(error), delay=error.delay)
    except Postponed as wait:
        return partial(job.postpone, delay=wait.delay)
    except SoftTimeLimitExceeded:
        return partial(job.retry_later, "It took longer than a job may take.")
    except Exception as error:
        log.exception("job_raised")
        return partial(job.retry_later, _unexpected(error))


def _unexpected(error: Exception) -> str:
    return f"Unexpected error: {type(error).__name__}."


def _store(job: Job, end: Callable[[], bool]) -> bool:
    """Write the end; where the row does not take it (a NUL byte, say), that is why it failed."""
    try:
        return through_restarts(end)
    except OperationalError:
        raise
    except Exception as error:
        log.exception("job_end_raised")
        return through_restarts(partial(job.retry_later, _unexpected(error)))


def through_restarts(write: Callable[[], T]) -> T:
    """Write through a database restart if need be, rather than lose what was paid for."""
    for attempt in stamina.retry_context(OperationalError, attempts=None, timeout=120):
        with attempt:
            if attempt.num > 1:
                connection.close_if_unusable_or_obsolete()
            return write()
    raise AssertionError("unreachable: the last attempt raises")


def _log_end(job: Job, stored: bool) -> None:
    if not stored:
        log.warning("job_lost_lease", attempts=job.attempts)
        return
    with suppress(ObjectDoesNotExist):  # deleted since; an end is in `job` already
        job.refresh_from_db(fields=["status", "error", "run_after"])
    assert job.started_at is not None
    log.info(
        "job",
        status=job.status,
        attempts=job.attempts,
        error=job.error or None,
        run_ms=round((timezone.now() - job.started_at).total_seconds() * 1000),
    )


def sweep(model: type[Job]) -> tuple[int, int]:
    """Fail the jobs whose tries are used up and publish again those whose message is lost.

    Returns how many were failed and how many were published. Several sweepers may run at
    once: each takes rows that no other holds.
    """
    return _fail_exhausted(model), _publish_due(model)


def _fail_exhausted(model: type[Job]) -> int:
    with transaction.atomic():
        rows = model.objects.exhausted().select_for_update(skip_locked=True, of=("self",))
        return sum(map(_give_up, rows))


def _give_up(job: Job) -> bool:
    """Fail a job; one whose `on_end` raises is not to keep the others from being swept."""
    try:
        return job.fail(f"Its worker died {job.attempts} times while it ran.")
    except Exception:
        log.exception("job_end_raised", job=str(job.pk), kind=job._meta.label)
        return False


def _publish_due(model: type[Job]) -> int:
    """Each queue by itself, so that a long one keeps nothing from the other: a retry of a single
    job, say, whose only message comes from here."""
    return sum(_publish_due_in(queue, model) for queue in model.queues())


def _publish_due_in(queue: str, model: type[Job]) -> int:
    """Publish what seems lost, unless the queue is so long that it probably only waits its turn.

    Else each sweep would add to a backlog messages of the very jobs that are in it.
    """
    rows = model.objects.unpublished().in_queue(queue)
    if not rows.exists():
        return 0
    due = _take_due(rows, at_most=min(SWEEP_BATCH, LONGEST_QUEUE - backlog(queue)))
    unsent = [job.pk for job in due if not job.publish()]
    model.objects.filter(pk__in=unsent).update(publish_after=Now())
    return len(due) - len(unsent)


def _take_due(rows: JobQuerySet, *, at_most: int) -> list[Job]:
    if at_most <= 0:
        return []
    with transaction.atomic():
        free = rows.select_for_update(skip_locked=True, of=("self",))
        due = list(free.order_by("run_after").to_publish()[:at_most])
        rows.model.objects.filter(pk__in=[job.pk for job in due]).mark_published()
    return due
