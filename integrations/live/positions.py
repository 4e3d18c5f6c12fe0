from typing import Any, NamedTuple, Self
from uuid import UUID

from accounts.models import User
from common.events.models import Event


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
