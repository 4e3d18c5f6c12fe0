"""Delete the events that are older than their company's retention, from the beginning."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import Company
from common.events import record
from common.events.models import Event
from common.events.querysets import ALLOW_CHANGES
from integrations.audit.locks import lock_chains
from integrations.audit.models import NO_COMPANY, AuditChain, AuditLink
from integrations.audit.verification import ChainWalk, read_links

log = structlog.get_logger(__name__)

BATCH_SIZE = 2_000


def delete_old_events() -> int:
    """Delete the chained events that are too old, and return how many these were."""
    codes = dict(Company.objects.values_list("pk", "code"))
    total = 0
    for chain_id in AuditChain.objects.values_list("pk", flat=True):
        if days := _get_retention_days(codes.get(chain_id, "")):
            total += _delete_before(timezone.now() - timedelta(days=days), chain_id)
    return total


def _get_retention_days(code: str) -> int | None:
    by_company = settings.EVENT_RETENTION_DAYS_BY_COMPANY
    return by_company.get(code, settings.EVENT_RETENTION_DAYS)


def _delete_before(time: datetime, chain_id: UUID) -> int:
    total = 0
    while count := _delete_batch_before(time, chain_id):
        total += count
    return total


def _delete_batch_before(time: datetime, chain_id: UUID) -> int:
    with lock_chains():
        chain = AuditChain.objects.get(pk=chain_id)
        links = list(_find_old_links(chain, time))
        if links:
            _delete(links)
            chain.move_anchor(links[-1])
            company_id = None if chain_id == NO_COMPANY else chain_id
            count = str(len(links))
            record("audit.trimmed", by=None, target=None, company_id=company_id, events=count)
    return len(links)


def _find_old_links(chain: AuditChain, time: datetime) -> Iterator[AuditLink]:
    """Yield the first links, up to an event that is not old or was changed: that is evidence."""
    walk = ChainWalk(chain)
    for link, event in islice(read_links(chain, after=chain.anchor_position), BATCH_SIZE):
        problems = list(walk.check(link, event))
        if event is None or problems:
            log.error("audit_log_changed", company=str(chain.pk), problems=problems)
            return
        if event.occurred_at >= time:
            return
        yield link


def _delete(links: list[AuditLink]) -> None:
    sequences = [link.sequence for link in links]
    with connection.cursor() as cursor:
        cursor.execute(ALLOW_CHANGES)
    Event.objects.filter(sequence__in=sequences).delete()
    AuditLink.objects.filter(sequence__in=sequences).delete()
