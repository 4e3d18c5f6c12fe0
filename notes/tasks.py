from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models.functions import Now

from notes.models import Call

GRACE = 600  # seconds in which a worker that is alive has put down what it read, come what may


@shared_task
def close_lost_calls() -> int:
    """Close the calls whose summary can't tell that its worker died; returns how many.

    It was deleted, or cancelled, while it ran.
    """
    oldest = timedelta(seconds=settings.OPENAI["timeout"] + GRACE)
    return Call.objects.filter(started_at__lt=Now() - oldest).lose()
