import structlog
from celery import shared_task

from integrations.audit import chain, heads, retention

log = structlog.get_logger(__name__)


@shared_task(ignore_result=True)
def extend_audit_chains() -> None:
    chain.extend_chains()


@shared_task(ignore_result=True)
def write_audit_heads() -> None:
    """Write the signed heads of today, if they are not written yet."""
    if path := heads.write_heads():
        log.info("audit_heads_written", path=str(path))


@shared_task(ignore_result=True)
def delete_old_events() -> None:
    if count := retention.delete_old_events():
        log.info("old_events_deleted", count=count)
