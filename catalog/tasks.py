import structlog
from celery import shared_task

from catalog import vocabulary_refresh

log = structlog.get_logger(__name__)


@shared_task(ignore_result=True)
def refresh_vocabulary() -> None:
    """Read the words of the products that have changed."""
    if vocabulary_refresh.refresh():
        log.info("vocabulary_refreshed")
