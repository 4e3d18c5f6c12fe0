"""Positions in the order of events, and the events between two of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db.models import Q

from accounts.models import User
from common.events.models import Event
from integrations.live import frames
from integrations.representation import events_to_json

PAGE_EVENTS = 50


class Position(NamedTuple):
    """The place of an event in the order of all events."""

    xid: int
    sequence: int

    @classmethod
    def of(cls, event: Any) -> Self:
        return cls(event.xid, event.sequence)


START = Position(-(2**63), 0)


def find_newest() -> Position:
    """Return the position of the newest event before which none can appear any more."""
    event = Event.objects.settled().only("xid", "sequence").last()
    return Position.of(event) if event else START


def find_position(event_id: UUID, user: User) -> Position | None:
    """Return the position of an event, or None if the user can't see it or it is not kept."""
    event = Event.objects.visible_to(user).filter(id=event_id).only("xid", "sequence").first()
    return Position.of(event) if event else None


def read_history(
    user: User, patterns: Sequence[str] | None, *, after: Position, until: Position
) -> tuple[bytes, Position | None]:
    """Return the first events after a position, and where to read on; None at the end."""
    before = Q(xid=until.xid, sequence__lte=until.sequence) | Q(xid__lt=until.xid)
    events = Event.objects.visible_to(user).after(after).filter(before, xid__lte=until.xid)
    if patterns is not None:
        events = events.of_types(patterns)
    page = list(events.order_by("xid", "sequence")[:PAGE_EVENTS])
    read_on = Position.of(page[-1]) if len(page) == PAGE_EVENTS else None
    documents = events_to_json(page, user=user)
    return b"".join(frames.event(document) for document in documents), read_on
