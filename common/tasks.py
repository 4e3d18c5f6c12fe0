from datetime import timedelta

import structlog
from celery import shared_task
from django.apps import apps
from django.db.models.functions import Now

from common import metrics
from common.jobs import runner
from common.jobs.models import Job
from common.models import IdempotencyRecord

log = structlog.get_logger(__name__)


@shared_task(ignore_result=True)
def run_job(label: str, pk: str) -> None:
    """Do the job `pk` of the model `label` ("notes.Summary"), if it waits to be done."""
    model = apps.get_model(label)
    assert issubclass(model, Job)
    runner.run(model, pk)


@shared_task(ignore_result=True)
def sweep_jobs() -> None:
    outcome = "ok"
    for model in runner.kinds():
        try:
            failed, published = runner.sweep(model)
        except Exception:
            # Whatever is wrong with one kind, the others are looked after.
            log.exception("sweep_raised", kind=model._meta.label)
            outcome = "error"
            continue
        metrics.jobs_swept(model._meta.label, failed=failed, published=published)
        if failed or published:
            log.info("jobs_swept", kind=model._meta.label, failed=failed, published=published)
    metrics.sweep_ended(outcome)


@shared_task
def forget_idempotency_keys() -> int:
    """Remove the answers that are older than a day; returns how many."""
    old = IdempotencyRecord.objects.filter(created_at__lt=Now() - timedelta(days=1))
    return old.delete()[0]
