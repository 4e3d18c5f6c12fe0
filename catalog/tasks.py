import structlog
from celery import shared_task

from catalog import vocabulary_refresh
from catalog.recommendations import counting, view_recording

log = structlog.get_logger(__name__)


@shared_task(ignore_result=True)
def refresh_vocabulary() -> None:
    """Read the words of the products that have changed."""
    if vocabulary_refresh.refresh():
        log.info("vocabulary_refreshed")


@shared_task(ignore_result=True)
def insert_pending_views() -> None:
    """Insert the views of products that wait in Valkey."""
    if count := view_recording.insert_pending_views():
        log.info("views_inserted", count=count)


@shared_task(ignore_result=True)
def refresh_recommendations() -> None:
    """Delete old views, and count who viewed what and which products go together."""
    deleted = view_recording.delete_old_views()
    counted = counting.refresh_counts()
    log.info("recommendations_refreshed", deleted_views=deleted, counted_products=counted)
