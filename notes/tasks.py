from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models.functions import Now

from common.jobs import handles, on_end, on_postpone
from notes import deduplication, summary_job
from notes.models import Call, Summary

GRACE = 600  # seconds in which a worker that is alive has put down what it read, come what may


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
    """Close the calls whose summary can't tell that its worker died; returns how many.

    It was deleted, or cancelled, while it ran.
    """
    oldest = timedelta(seconds=settings.OPENAI["timeout"] + GRACE)
    return Call.objects.filter(started_at__lt=Now() - oldest).lose()
