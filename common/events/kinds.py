"""What a model says about the events of its rows, by a class attribute `event_kind`."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models


class Audience(models.TextChoices):
    """Who of a company sees an event; a superuser sees the events of all companies."""

    COMPANY = "company", "everyone in the company"
    PEOPLE = "people", "the company's people, not its machine accounts"
    OWNER = "owner", "the row's owner and the company's admins"
    ADMINS = "admins", "the company's admins"


@dataclass(frozen=True, kw_only=True)
class EventKind:
    """How events name a row of a model, and who sees them.

    Attributes may have dots, such as `user.company_id`.

    name: the type of the row in events, for example `note`.
    actions: what can happen to a row, separated by spaces. An event `note.created` has one of them.
    audience: who sees the events.
    company: the attribute with the id of the row's company; empty if the row has none.
    owner: the attribute with the id of the row's owner, for `Audience.OWNER`.
    label: the attribute that names the row for people.
    person: the attribute with the id of the person whom the row describes. The label and the
        changed values of such a row are kept apart, so that they can be erased.
    hidden: the fields whose values events never show; that they changed is shown.
    reports_progress: whether a job calls `announce_progress` for such a row.
    """

    name: str
    actions: str
    audience: Audience = Audience.COMPANY
    company: str = "company_id"
    owner: str = "user_id"
    label: str = ""
    person: str = ""
    hidden: Iterable[str] = ()
    reports_progress: bool = False

    @property
    def event_types(self) -> list[str]:
        return [f"{self.name}.{action}" for action in self.actions.split()]

    @property
    def progress_type(self) -> str:
        return f"{self.name}.progress"

    def get_company_id(self, row: models.Model) -> UUID | None:
        return _read(row, self.company)

    def get_owner_id(self, row: models.Model) -> UUID | None:
        return _read(row, self.owner) if self.audience == Audience.OWNER else None

    def get_person_id(self, row: models.Model) -> UUID | None:
        return _read(row, self.person)

    def get_label(self, row: models.Model) -> str:
        return str(_read(row, self.label) or "")


# Events that tell of no row.
TYPES_WITHOUT_ROW = ("login.failed", "access.denied")


@cache
def event_types() -> tuple[str, ...]:
    """Return the types of all events, sorted."""
    types = {name for kind in _kinds() for name in kind.event_types}
    return tuple(sorted(types.union(TYPES_WITHOUT_ROW)))


@cache
def progress_types() -> tuple[str, ...]:
    """Return the types of the live stream's messages about progress, sorted; no rows have them."""
    return tuple(sorted(kind.progress_type for kind in _kinds() if kind.reports_progress))


def _kinds() -> list[EventKind]:
    kinds = (getattr(model, "event_kind", None) for model in apps.get_models())
    return [kind for kind in kinds if kind]


def _read(row: models.Model, attribute: str) -> Any:
    return attrgetter(attribute)(row) if attribute else None


def kind_of(model: type[models.Model] | models.Model) -> EventKind:
    """Return the kind of a model; raises `TypeError` if the model has none."""
    kind = getattr(model, "event_kind", None)
    if not isinstance(kind, EventKind):
        raise TypeError(f"{model._meta.label} has no `event_kind`.")
    return kind
