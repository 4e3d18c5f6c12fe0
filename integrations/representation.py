"""Events as clients read them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from accounts.models import Invitation, User
from common.events.models import Event
from integrations.rows import load_rows

People = dict[UUID, str]


def events_to_json(events: Sequence[Event], *, user: User) -> list[dict[str, Any]]:
    """Return the events as `user` reads them; see `EventSerializer`."""
    rows = load_rows(events, user=user)
    people = load_people(events)
    return [
        event_to_json(event, people=people, data=rows.get((event.target_type, event.target_id)))
        for event in events
    ]


def load_people(events: Sequence[Event]) -> People:
    """Return the names of the people whom the events name and who exist, by their ids.

    These are users, also deactivated and deleted ones, and invited people.
    """
    ids = {pk for event in events for pk in (event.actor_id, event.person_id) if pk}
    users = User.objects.filter(pk__in=ids).values_list("pk", "username")
    invited = Invitation.objects.filter(pk__in=ids).values_list("pk", "email")
    return dict(users.union(invited, all=True))


def event_to_json(event: Event, *, people: People, data: Any) -> dict[str, Any]:
    """Return an event; what describes people is only there while they exist."""
    person: Any = (event.person_id in people and event.target_values) or {}
    target = {
        "type": event.target_type,
        "id": event.target_id,
        "label": person.get("label", event.target_label),
    }
    actor_label = people.get(event.actor_id, "") if event.actor_id else ""
    return {
        "id": event.id,
        "type": event.action,
        "sequence": event.sequence,
        "occurred_at": event.occurred_at,
        "actor": {"type": event.actor_type, "id": event.actor_id, "label": actor_label},
        "company_id": event.company_id,
        "targets": [target] if event.target_id else [],
        "changes": person.get("changes", event.changes),
        "request_id": event.request_id,
        "data": data,
    }
