"""Run a job: claim it, do its work and store how it ended."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Self

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.core.exceptions import ObjectDoesNotExist
from django.db import Error, OperationalError, connection
from django.utils import timezone

from common.jobs import metrics
from common.jobs.errors import JobFailed, LostLease, Postponed, RetryLater
from common.jobs.handlers import perform
from common.jobs.models import Job
from common.jobs.status import ACTIVE
from common.postgres.retries import retry_on_disconnect
from common.redaction import redacted_message

log = structlog.get_logger(__name__)


class Heartbeat:
    """A thread that renews the lease of a job while its handler runs."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name=f"lease-{job.pk}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _renew(self) -> None:
        interval_s = self.job.lease().total_seconds() / 3
        while not self._stop.wait(interval_s):
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
    """Run one job, chosen by its id; return `None` if it could not be claimed."""
    job = model.objects.claim(pk)
    return job and _run_claimed(job)


def run_next(model: type[Job], queue: str) -> Job | None:
    """Run the job of `queue` whose turn it is; return `None` if no job is due."""
    job = model.objects.claim_next(queue)
    return job and _run_claimed(job)


def _run_claimed(job: Job) -> Job:
    """Do the work of a claimed job and store how it ended."""
    with structlog.contextvars.bound_contextvars(**_log_context(job)):
        wait_s, started = _wait_s(job), time.monotonic()
        with Heartbeat(job):
            end_run = _perform(job)
        run_s = time.monotonic() - started
        stored = _store(job, end_run)
        _log_end(job, stored)
        metrics.record_run(job._meta.label, _outcome(job, stored), wait_s=wait_s, run_s=run_s)
    return job


def _wait_s(job: Job) -> float:
    """Return the seconds from due to claimed, both by the clock of the database."""
    assert job.lease_until is not None
    return (job.lease_until - job.lease() - job.run_after).total_seconds()


def _outcome(job: Job, stored: bool) -> str:
    if not stored:
        return "lost"
    # A job that was queued again is active here, even if its row has been deleted since.
    return "retried" if job.status in ACTIVE else str(job.status)


def _log_context(job: Job) -> dict[str, Any]:
    company, user = getattr(job, "company_id", None), getattr(job, "user_id", None)
    return {
        "request_id": job.request_id,
        "kind": job._meta.label,
        "job": str(job.pk),
        "company": str(company) if company else None,
        "user": str(user) if user else None,
    }


def _perform(job: Job) -> Callable[[], bool]:
    """Do the work and return the transition that ends this run."""
    try:
        return partial(job.finish, **perform(job).columns())
    except LostLease:
        return lambda: False
    except JobFailed as error:
        return partial(job.fail, str(error))
    except RetryLater as error:
        return partial(job.retry_later, str(error), delay=error.delay)
    except Postponed as error:
        return partial(job.postpone, delay=error.delay)
    except SoftTimeLimitExceeded:
        return partial(job.retry_later, "The job exceeded its time limit.")
    except Exception as error:
        log.exception("job_handler_error")
        return partial(job.retry_later, _describe_unexpected(error))


def _describe_unexpected(error: Exception) -> str:
    return f"Unexpected error: {type(error).__name__}."


def _store(job: Job, end_run: Callable[[], bool]) -> bool:
    """Store the end of a run; if the database rejects the values, store that as the error.

    Return whether the run still held the job.
    """
    try:
        return retry_on_disconnect(end_run)
    except OperationalError:
        raise
    except Exception as error:
        log.exception("job_end_error")
        return retry_on_disconnect(partial(job.retry_later, _describe_unexpected(error)))


def _log_end(job: Job, stored: bool) -> None:
    if not stored:
        log.warning("job_lost_lease", attempts=job.attempts)
        return
    with suppress(ObjectDoesNotExist):  # the row has been deleted since
        job.refresh_from_db(fields=["status", "error", "run_after"])
    assert job.started_at is not None
    log.info(
        "job",
        status=job.status,
        attempts=job.attempts,
        error=job.error or None,
        run_ms=round((timezone.now() - job.started_at).total_seconds() * 1000),
    )
