from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models.functions import Now

from common.jobs import handles, on_end, on_postpone
from notes import deduplication, summary_job
from notes.models import ProviderCall, Summary

# Counted from the timeout of the request. A living worker has stored the call by then.
LOST_AFTER_S = 600


@handles(Summary)
def summarize(summary: Summary) -> summary_job.SummaryJobResult:
    return summary_job.summarize(summary)


@on_end(Summary)
def record_side_effects(summary: Summary) -> None:
    summary_job.record_side_effects(summary)


@on_postpone(Summary)
def publish_if_no_producer(summary: Summary) -> None:
    deduplication.publish_if_no_producer(summary)


@shared_task
def close_lost_calls() -> int:
    """Close calls of dead workers whose summary was deleted or cancelled; return how many.

    The calls of all other summaries are closed when the summary runs again or fails.
    """
    max_age = timedelta(seconds=settings.OPENAI["timeout"] + LOST_AFTER_S)
    return ProviderCall.objects.filter(started_at__lt=Now() - max_age).close_as_lost()
