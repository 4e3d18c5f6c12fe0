"""Entries of the audit log: events with what only a company's admins see."""

from collections.abc import Sequence
from typing import Any

from accounts.models import User
from common.events.models import Event
from integrations.audit.models import AuditLink
from integrations.representation import People, event_to_json, load_people
from integrations.rows import load_rows


def entries_to_json(
    events: Sequence[Event], *, user: User, with_data: bool = True
) -> list[dict[str, Any]]:
    """Return the events as entries; see `AuditEntrySerializer`.

    with_data: whether each has the row that it tells of, as `user` reads it now.
    """
    people = load_people(events)
    rows = load_rows(events, user=user) if with_data else {}
    links = AuditLink.objects.in_bulk([event.sequence for event in events])
    entries = []
    for event in events:
        data = rows.get((event.target_type, event.target_id))
        entry = event_to_json(event, people=people, data=data)
        if not with_data:
            del entry["data"]
        link = links.get(event.sequence)
        entries.append({**entry, **_describe_actor(event, people), **_describe_link(link)})
    return entries


def _describe_actor(event: Event, people: People) -> dict[str, Any]:
    """Return what is known of the actor, while a known one exists."""
    is_readable = event.actor_id is None or event.actor_id in people
    values = dict((is_readable and event.actor_values) or {})
    values.pop("salt", None)
    return {
        "outcome": event.outcome,
        "ip_address": values.pop("ip_address", None),
        "details": values,
    }


def _describe_link(link: AuditLink | None) -> dict[str, str | None]:
    return {
        "hash": link.hash if link else None,
        "previous_hash": link.previous_hash if link else None,
    }
