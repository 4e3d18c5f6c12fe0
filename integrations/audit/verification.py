"""Find what was changed in the tables of the audit log: plain sentences, in bounded memory."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction

from accounts.models import Company
from common.events.models import Event
from common.events.recording import digest_of
from common.postgres.options import NO_IDLE_TIMEOUT
from integrations.audit.chain import IS_CHAINED, find_last_chained_event
from integrations.audit.hashing import hash_of
from integrations.audit.heads import Head, HeadsError, SignedHeads, read_all_heads
from integrations.audit.models import NO_COMPANY, AuditChain, AuditLink

CHUNK_SIZE = 2_000
FIND_LINKS = """
SELECT head.company_id, head.position, head.hash, link.hash
FROM unnest(%s::uuid[], %s::bigint[], %s::text[]) AS head (company_id, position, hash)
LEFT JOIN integrations_auditlink link
    ON link.chain_id = head.company_id AND link.position = head.position
"""


@contextmanager
def unchanging_view() -> Iterator[None]:
    """See the tables as they are now, whatever the jobs change until the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(NO_IDLE_TIMEOUT)
        yield


def find_problems(heads_folder: Path) -> Iterator[str]:
    """Yield a sentence for each change that the log's tables show."""
    with unchanging_view():
        for chain in AuditChain.objects.order_by("company_id").iterator(CHUNK_SIZE):
            yield from find_problems_of_chain(chain)
        yield from _find_inserted_events()
        yield from _find_problems_by_heads(read_all_heads(heads_folder))


def find_problems_of_chain(chain: AuditChain) -> Iterator[str]:
    if not chain.is_anchor_valid:
        yield (
            f"{_name(chain)}: the beginning up to number {chain.anchor_position} was not deleted "
            "by the retention job, or SECRET_KEY_FALLBACKS lacks the key of that time."
        )
    walk = ChainWalk(chain)
    for link, event in read_links(chain, after=chain.anchor_position):
        for problem in walk.check(link, event):
            yield f"{_name(chain)}: {problem}"
    if walk.position < chain.position:
        count = chain.position - walk.position
        yield (
            f"{_name(chain)}: the end was cut off. Numbers {walk.position + 1} to "
            f"{chain.position} are missing ({count})."
        )
    elif (walk.position, walk.hash) != (chain.position, chain.hash):
        yield f"{_name(chain)}: the end differs from what the chain's row tells."


class ChainWalk:
    """Checks the links of a chain one after the other, each against the one before."""

    def __init__(self, chain: AuditChain) -> None:
        self.position, self.hash = chain.anchor_position, chain.anchor_hash
        self._order: tuple[int, int] | None = None

    def check(self, link: AuditLink, event: Event | None) -> Iterator[str]:
        expected, self.position = self.position + 1, link.position
        if link.position > expected:
            yield f"numbers {expected} to {link.position - 1} are missing, with their hashes."
        elif link.previous_hash != self.hash:
            yield f"number {link.position} was computed from another hash than the stored one."
        self.hash = link.hash
        if event is None:
            yield f"number {link.position} is missing: the event with sequence {link.sequence}."
            return
        if hash_of(link.previous_hash, event) != link.hash:
            yield f"number {link.position} was changed: the event {event.id}."
        yield from _find_changed_values(link, event)
        yield from self._find_moved(link, event)

    def _find_moved(self, link: AuditLink, event: Event) -> Iterator[str]:
        order = (event.xid, event.sequence)
        if self._order and order < self._order:
            yield f"number {link.position} was moved: the event {event.id}."
        self._order = order


def _find_changed_values(link: AuditLink, event: Event) -> Iterator[str]:
    """Compare the values that describe people with their digests; erased ones are null."""
    pairs = (
        ("actor", event.actor_values, event.actor_digest),
        ("target", event.target_values, event.target_digest),
    )
    for name, values, digest in pairs:
        if values is not None and digest_of(values) != digest:
            yield (
                f"number {link.position} was changed: the {name}'s personal values of the event "
                f"{event.id}."
            )


def read_links(chain: AuditChain, *, after: int) -> Iterator[tuple[AuditLink, Event | None]]:
    """Yield the links after a position in their order, each with its event if that exists."""
    while links := list(chain.links.filter(position__gt=after).order_by("position")[:CHUNK_SIZE]):
        events = Event.objects.in_bulk([link.sequence for link in links])
        for link in links:
            yield link, events.get(link.sequence)
        after = links[-1].position


def _find_inserted_events() -> Iterator[str]:
    last = find_last_chained_event()
    if last is None:
        return
    events = Event.objects.filter(~IS_CHAINED).before(last).order_by("xid", "sequence")
    for event in events.only("id", "company_id").iterator(CHUNK_SIZE):
        yield (
            f"{_name_of(event.company_id)}: the event {event.id} was inserted, or its hash was "
            "deleted. It stands before chained events and is in no chain."
        )


def _find_problems_by_heads(files: Iterable[SignedHeads | HeadsError]) -> Iterator[str]:
    """Compare the chains with the signed heads; yield one sentence for each chain."""
    anchors = dict(AuditChain.objects.values_list("pk", "anchor_position"))
    reported = set()
    for file in files:
        if isinstance(file, HeadsError):
            yield str(file)
            continue
        for company_id, position, signed_hash, stored_hash in _find_links(file.heads):
            is_deleted = position <= anchors.get(company_id, 0)
            if is_deleted or signed_hash == stored_hash or company_id in reported:
                continue
            reported.add(company_id)
            yield _describe_head(company_id, position, stored_hash, day=file.day)


def _find_links(heads: list[Head]) -> list[tuple]:
    columns = zip(*((head.company_id, head.position, head.hash) for head in heads), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(FIND_LINKS, [*map(list, columns)] or [[], [], []])
        return cursor.fetchall()


def _describe_head(company_id: str, position: int, stored_hash: str | None, *, day: str) -> str:
    if stored_hash is None:
        return (
            f"{_name_of(company_id)}: the end was cut off. The head of {day} signs number "
            f"{position}, which is missing."
        )
    return (
        f"{_name_of(company_id)}: the chain was computed again. Number {position} has another "
        f"hash than the signed head of {day}."
    )


def _name(chain: AuditChain) -> str:
    return _name_of(chain.company_id)


def _name_of(company_id: object) -> str:
    if company_id in (None, NO_COMPANY):
        return "Events without a company"
    code = Company.objects.filter(pk=company_id).values_list("code", flat=True).first()
    return f"Company {code or company_id}"
