"""Add events to the chains of their companies, in the order in which events are read."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef

from common.events.models import Event
from common.events.querysets import EventQuerySet
from integrations.audit.hashing import hash_of
from integrations.audit.locks import lock_chains
from integrations.audit.models import NO_COMPANY, AuditChain, AuditLink

BATCH_SIZE = 2_000
IS_CHAINED = Exists(AuditLink.objects.filter(sequence=OuterRef("sequence")))


def extend_chains(*, max_batches: int = 100) -> int:
    """Add the settled events to their chains, and return how many these were."""
    total = 0
    for _ in range(max_batches):
        with lock_chains():
            count = _extend_by(_next_events())
        total += count
        if count < BATCH_SIZE:
            break
    return total


def find_last_chained_event() -> Event | None:
    """Return the event up to which all are chained, or None before the first.

    It is the last of the chains' ends. Retention may have deleted it: then it has deleted the
    chained events of that company, so the end of another chain is as good.
    """
    ends = AuditChain.objects.values("last_sequence")
    return Event.objects.filter(sequence__in=ends).order_by("-xid", "-sequence").first()


def unchained_events() -> EventQuerySet:
    """Return the events that come after the chained ones, in their order."""
    last = find_last_chained_event()
    events = Event.objects.after(last) if last else Event.objects.all()
    return events.filter(~IS_CHAINED).order_by("xid", "sequence")


def _next_events() -> list[Event]:
    return list(unchained_events().settled()[:BATCH_SIZE])


def _extend_by(events: list[Event]) -> int:
    chains = _get_chains({_chain_id(event) for event in events})
    links = [_append(chains[_chain_id(event)], event) for event in events]
    AuditLink.objects.bulk_create(links)
    AuditChain.objects.bulk_update(chains.values(), ["position", "hash", "last_sequence"])
    return len(links)


def _chain_id(event: Event) -> UUID:
    return event.company_id or NO_COMPANY


def _get_chains(ids: Iterable[UUID]) -> dict[UUID, AuditChain]:
    new_chains = [AuditChain(company_id=pk) for pk in ids]
    AuditChain.objects.bulk_create(new_chains, ignore_conflicts=True)
    return AuditChain.objects.in_bulk(ids)


def _append(chain: AuditChain, event: Event) -> AuditLink:
    """Return the event's link, and move the end of the chain to it."""
    link = AuditLink(
        sequence=event.sequence,
        chain=chain,
        position=chain.position + 1,
        previous_hash=chain.hash,
        hash=hash_of(chain.hash, event),
    )
    chain.position, chain.hash = link.position, link.hash
    chain.last_sequence = event.sequence
    return link
