from celery import shared_task

from common.jobs import JobResult, handles
from posts import services
from posts.models import Feed


@handles(Feed)
def refresh_feed(feed: Feed) -> JobResult:
    services.refresh(feed)
    return JobResult()


@shared_task(ignore_result=True)
def refresh_posts() -> None:
    """Queue a refresh of the posts unless there is no feed, or one is queued or running."""
    if services.has_feed():
        Feed.objects.request_refresh()
