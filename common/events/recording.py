import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction

from common.api.text import shorten
from common.events.announcements import announce_events
from common.events.context import client_address, is_in_request
from common.events.kinds import TYPES_WITHOUT_ROW, Audience, EventKind, kind_of
from common.events.models import ActorType, Event, Outcome
from common.logs import current_request_id

log = structlog.get_logger(__name__)

MAX_VALUE_CHARS = 200
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
Changes = Mapping[str, tuple[Any, Any]]


def find_changes(row: models.Model, values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return `{name: (old, new)}` of those `values` that differ from the row's."""
    return {
        name: (getattr(row, name), value)
        for name, value in values.items()
        if getattr(row, name) != value
    }


def record(
    action: str,
    *,
    by: AbstractBaseUser | None,
    target: models.Model | None,
    company_id: Any = None,
    changes: Changes | None = None,
    outcome: str = Outcome.SUCCESS,
    **actor_values: str,
) -> None:
    """Write an event; it commits with the change that it tells of.

    action: what happened to the row, as `kind.past_participle` (`product.updated`).
    by: the user who did it; `None` for the system, and for an unknown client of a request.
    target: the row, as it is after the change; `None` if there is none.
    company_id: only for events without a row.
    changes: the old and the new value by field; long ones are cut.
    actor_values: what else describes the actor, such as the `username` of a failed sign-in.
    """
    build = _Builder(action, by=by, outcome=outcome, actor_values=actor_values)
    event = build.event(target, changes or {}) if target else build.event_without_row(company_id)
    event.save(force_insert=True)
    announce_events([event])
    _log(event, target)


def record_all(
    action: str,
    *,
    by: AbstractBaseUser | None,
    targets: Iterable[tuple[models.Model, Changes]],
) -> None:
    """Write an event for each row and its changes, with one statement for many rows."""
    build = _Builder(action, by=by, outcome=Outcome.SUCCESS, actor_values={})
    rows_and_events = [(row, build.event(row, changes)) for row, changes in targets]
    events = Event.objects.bulk_create([event for _, event in rows_and_events], batch_size=1_000)
    announce_events(events)
    for row, event in rows_and_events:
        _log(event, row)


class _Builder:
    """Builds the events of one actor's action."""

    def __init__(
        self, action: str, *, by: Any, outcome: str, actor_values: Mapping[str, str]
    ) -> None:
        address = client_address()
        values = {name: _show(value) for name, value in actor_values.items()}
        values |= {"ip_address": address} if address else {}
        stored_values, digest = seal(values)
        self._action = action
        self._columns = {
            "action": action,
            "outcome": outcome,
            "actor_type": _actor_type(by),
            "actor_id": by.pk if by else None,
            "request_id": current_request_id(),
            "actor_values": stored_values,
            "actor_digest": digest,
        }

    def event_without_row(self, company_id: Any) -> Event:
        _check_action(self._action, TYPES_WITHOUT_ROW)
        return Event(company_id=company_id, audience=Audience.ADMINS, **self._columns)

    def event(self, row: models.Model, changes: Changes) -> Event:
        kind = kind_of(row)
        _check_action(self._action, kind.event_types)
        label, person_id = _show(kind.get_label(row)), kind.get_person_id(row)
        shown = _show_changes(kind, changes)
        values, digest = seal({"label": label, "changes": shown} if person_id else {})
        return Event(
            company_id=kind.get_company_id(row),
            audience=kind.audience,
            owner_id=kind.get_owner_id(row),
            target_type=kind.name,
            target_id=str(row.pk),
            target_label="" if person_id else label,
            changes={} if person_id else shown,
            person_id=person_id,
            target_values=values,
            target_digest=digest,
            **self._columns,
        )


def _check_action(action: str, known: Iterable[str]) -> None:
    """Raise `ValueError` for an action that no subscriber could know of."""
    if action not in known:
        raise ValueError(f"{action} is not among the `actions` of its `event_kind`.")


def _actor_type(by: Any) -> ActorType:
    if by:
        return ActorType.USER
    return ActorType.ANONYMOUS if is_in_request() else ActorType.SYSTEM


def seal(values: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return values with a random salt, and their digest, from which they can't be guessed."""
    if not values:
        return None, ""
    salted = {**values, "salt": secrets.token_hex(16)}
    return salted, digest_of(salted)


def digest_of(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, cls=DjangoJSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()


def _show_changes(kind: EventKind, changes: Changes) -> dict[str, dict[str, Any]]:
    """Return changes as events show them; values of hidden fields are null."""
    return {
        name: dict.fromkeys(("old", "new"))
        if name in kind.hidden
        else {"old": _show(old), "new": _show(new)}
        for name, (old, new) in changes.items()
    }


def _show(value: Any) -> Any:
    match value:
        case models.Model():
            return str(value.pk)
        case str():
            # What PostgreSQL can't store is also refused as a value, but its attempt is recorded.
            return shorten(UNSTORABLE.sub("\ufffd", value), MAX_VALUE_CHARS - 1)
    return value


def _log(event: Event, row: models.Model | None) -> None:
    line = {
        "action": event.action,
        "actor": str(event.actor_id or event.actor_type),
        "company": str(event.company_id) if event.company_id else None,
        "target": f"{row._meta.label} {event.target_id}" if row else None,
    }
    transaction.on_commit(partial(log.info, "change", **line), robust=True)
