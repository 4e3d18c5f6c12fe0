from datetime import timedelta

from celery import shared_task
from django.db.models.functions import Now

from uploads.models import DirectUpload


@shared_task
def forget_urls() -> int:
    """Remove the leave that expired URLs gave, a day later; returns how many."""
    old = DirectUpload.objects.filter(expires_at__lt=Now() - timedelta(days=1))
    return old.delete()[0]
