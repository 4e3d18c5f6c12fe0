from celery import shared_task

from uploads import presigned


@shared_task
def forget_urls() -> int:
    """Remove URLs for direct uploads that expired long ago; returns how many."""
    return presigned.forget_expired()
