from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models.functions import Now

from common.jobs import handles, on_end, on_postpone
from notes import deduplication, summary_job
from notes.models import ProviderCall, Summary

LOST_AFTER_S = 600  # after the timeout; a living worker has stored its calls by then


@handles(Summary)
def summarize(summary: Summary) -> summary_job.StoredSummary:
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
    oldest = timedelta(seconds=settings.OPENAI["timeout"] + LOST_AFTER_S)
    return ProviderCall.objects.filter(started_at__lt=Now() - oldest).close_as_lost()
