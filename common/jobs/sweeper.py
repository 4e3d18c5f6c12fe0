"""Find jobs that a worker or a broker has lost."""

import structlog
from django.db import transaction
from django.db.models.functions import Now

from common.jobs.models import Job
from common.jobs.publishing import queue_length
from common.jobs.querysets import JobQuerySet

log = structlog.get_logger(__name__)

SWEEP_BATCH_SIZE = 500
MAX_QUEUE_LENGTH = 1000


def sweep(model: type[Job]) -> tuple[int, int]:
    """Fail jobs without attempts left and republish jobs whose message is lost.

    Return the numbers of failed and of published jobs. Several sweepers may run at the same time:
    each skips the rows that another has locked.
    """
    return _fail_exhausted(model), _publish_due(model)


def _fail_exhausted(model: type[Job]) -> int:
    with transaction.atomic():
        rows = model.objects.exhausted().select_for_update(skip_locked=True, of=("self",))
        return sum(map(_fail, rows))


def _fail(job: Job) -> bool:
    """Fail one job; log errors, so that one job cannot stop the sweep of the others."""
    try:
        return job.fail(f"The worker process died in the last of {job.attempts} attempts.")
    except Exception:
        log.exception("job_end_error", job=str(job.pk), kind=job._meta.label)
        return False


def _publish_due(model: type[Job]) -> int:
    """Publish lost messages, separately for each queue: one may be full and the other not."""
    return sum(_publish_due_in(queue, model) for queue in model.queues())


def _publish_due_in(queue: str, model: type[Job]) -> int:
    """Publish messages that are probably lost, unless the queue is long.

    In a long queue they probably still wait, and each sweep would add duplicates.
    """
    rows = model.objects.unpublished().in_queue(queue)
    if not rows.exists():
        return 0
    due = _take_due(rows, limit=min(SWEEP_BATCH_SIZE, MAX_QUEUE_LENGTH - queue_length(queue)))
    unsent = [job.pk for job in due if not job.publish()]
    model.objects.filter(pk__in=unsent).update(publish_after=Now())
    return len(due) - len(unsent)


def _take_due(rows: JobQuerySet, *, limit: int) -> list[Job]:
    """Return due jobs that no other sweeper has locked, and mark them as published."""
    if limit <= 0:
        return []
    with transaction.atomic():
        unlocked = rows.select_for_update(skip_locked=True, of=("self",))
        due = list(unlocked.order_by("run_after").only_for_publish()[:limit])
        rows.model.objects.filter(pk__in=[job.pk for job in due]).mark_published()
    return due
