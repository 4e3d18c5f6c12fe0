from celery import shared_task

from posts.models import Feed


@shared_task(ignore_result=True)
def refresh_posts() -> None:
    """Ask for a refresh of the mirror; where one waits or runs already, that will do."""
    Feed.objects.ask_for_refresh()
