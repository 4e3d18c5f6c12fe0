from datetime import timedelta

import structlog
from celery import shared_task
from django.apps import apps
from django.db.models.functions import Now

from common.jobs import metrics, runner, sweeper
from common.jobs.models import Job, job_models
from common.models import IdempotencyRecord

log = structlog.get_logger(__name__)

IDEMPOTENCY_RETENTION = timedelta(days=1)


@shared_task(ignore_result=True)
def run_next_job(label: str, queue: str) -> None:
    """Run the next due job of a model; `label` is that of the model (`app_label.ModelName`)."""
    model = apps.get_model(label)
    assert issubclass(model, Job)
    runner.run_next(model, queue)


@shared_task(ignore_result=True)
def sweep_jobs() -> None:
    outcome = "ok"
    for model in job_models():
        try:
            failed, published = sweeper.sweep(model)
        except Exception:
            # Continue with the other models.
            log.exception("sweep_error", kind=model._meta.label)
            outcome = "error"
            continue
        metrics.record_swept_jobs(model._meta.label, failed=failed, published=published)
        if failed or published:
            log.info("jobs_swept", kind=model._meta.label, failed=failed, published=published)
    metrics.record_sweep(outcome)


@shared_task
def delete_idempotency_records() -> int:
    """Delete the responses that were stored more than a day ago and return their number."""
    expired = IdempotencyRecord.objects.filter(created_at__lt=Now() - IDEMPOTENCY_RETENTION)
    return expired.delete()[0]
