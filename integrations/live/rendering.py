"""Frames of events for many streams. Rows are read once for all users who read them alike."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from accounts.models import User
from common.events.models import Event
from integrations.live import frames
from integrations.live.stream import Stream
from integrations.representation import events_to_json


class Readers(NamedTuple):
    """Users who read the row of an event alike.

    These are all superusers, or those of a company with the same role. The owner of a row may read
    more of it than others, and so may the user whom an event tells of.
    """

    is_superuser: bool
    company_id: UUID | None = None
    role: str = ""
    owner_id: UUID | None = None


def readers_of(event: Event, user: User) -> Readers:
    """Return the users who read the event as `user` does."""
    if user.is_superuser:
        return Readers(is_superuser=True)
    owner_id = user.pk if user.pk in (event.owner_id, event.person_id) else None
    return Readers(False, user.company_id, user.role, owner_id)


def render(streams: Iterable[Stream], events: Sequence[Event]) -> dict[Stream, list[bytes]]:
    """Return the frames of each stream that wants some of the events, in their order."""
    wanted: dict[Stream, list[tuple[Readers, int]]] = defaultdict(list)
    numbers: dict[Readers, set[int]] = defaultdict(set)
    users: dict[Readers, User] = {}
    for stream in streams:
        for number, event in enumerate(events):
            if stream.wants(event):
                readers = readers_of(event, stream.user)
                users[readers] = stream.user
                numbers[readers].add(number)
                wanted[stream].append((readers, number))
    rendered = {
        (readers, number): frame
        for readers, user in users.items()
        for number, frame in _render_for(user, events, sorted(numbers[readers]))
    }
    return {
        stream: [rendered[key] for key in keys if rendered[key]] for stream, keys in wanted.items()
    }


def _render_for(
    user: User, events: Sequence[Event], numbers: Sequence[int]
) -> Iterable[tuple[int, bytes]]:
    """Return a frame for each number; an empty one for progress of a row that can't be read."""
    documents = events_to_json([events[number] for number in numbers], user=user)
    for number, document in zip(numbers, documents, strict=True):
        if events[number].sequence:
            yield number, frames.event(document)
        else:
            yield number, frames.progress(document) if document["data"] else b""
