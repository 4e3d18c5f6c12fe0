from celery import shared_task

from uploads import direct


@shared_task
def forget_urls() -> int:
    """Remove URLs for direct uploads that expired long ago; returns how many."""
    return direct.forget_expired()
