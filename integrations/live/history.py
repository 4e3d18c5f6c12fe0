"""What a client has missed: the events between two positions."""

from collections.abc import Sequence

from django.db.models import Q

from accounts.models import User
from common.events.models import Event
from integrations.live import frames
from integrations.live.positions import Position
from integrations.representation import events_to_json

PAGE_EVENTS = 50


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
