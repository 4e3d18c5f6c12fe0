"""Rows as the API shows them to a user, for the `data` of events."""

from collections import defaultdict
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.db.models import QuerySet
from rest_framework.serializers import BaseSerializer

from accounts.models import Company, Invitation, User
from accounts.serializers import (
    ColleagueSerializer,
    CompanySerializer,
    InvitationSerializer,
    ManagedUserSerializer,
    ProfileSerializer,
)
from catalog.import_models import ProductImport
from catalog.imports.serializers import ProductImportListSerializer
from catalog.models import Product
from catalog.serializers import ProductSerializer
from common.events.models import Event
from notes.models import Batch, Note, Summary, SummaryTemplate
from notes.serializers import (
    BatchSerializer,
    NoteListSerializer,
    SummarySerializer,
    TemplateSerializer,
)
from uploads.models import Cycle, Project, Session
from uploads.serializers import CycleSerializer, ProjectSerializer, SessionSerializer


class Source(NamedTuple):
    """The rows of one type, and the serializer of the list in the API."""

    rows: QuerySet
    serializer: type[BaseSerializer]


SOURCES = {
    "company": Source(Company.objects.all(), CompanySerializer),
    "invitation": Source(Invitation.objects.all(), InvitationSerializer),
    "note": Source(Note.objects.without_text().with_own_summary(), NoteListSerializer),
    "summary": Source(Summary.objects.all(), SummarySerializer),
    "batch": Source(Batch.objects.with_counts(), BatchSerializer),
    "template": Source(SummaryTemplate.objects.all(), TemplateSerializer),
    "product": Source(Product.objects.with_public_fields(), ProductSerializer),
    "product_import": Source(ProductImport.objects.all(), ProductImportListSerializer),
    "project": Source(Project.objects.all(), ProjectSerializer),
    "cycle": Source(Cycle.objects.with_status(), CycleSerializer),
    "session": Source(Session.objects.all(), SessionSerializer),
}
USERS = User.objects.select_related("company")

RowKey = tuple[str, str]


def load_rows(events: Iterable[Event], *, user: User) -> dict[RowKey, Any]:
    """Return the rows that `events` tell of as `user` reads them, by type and id.

    Rows that are deleted or that the user may not read are missing. There is one query for each
    type, or two.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for event in events:
        ids[event.target_type].add(event.target_id)
    rows: dict[RowKey, Any] = {}
    for kind, kind_ids in ids.items():
        for source in _sources(kind, user):
            visible = source.rows.visible_to(user).in_bulk(kind_ids)  # type: ignore[attr-defined]
            context = {"request": SimpleNamespace(user=user)}
            for pk, row in visible.items():
                rows[kind, str(pk)] = source.serializer(row, context=context).data
    return rows


def _sources(kind: str, user: User) -> list[Source]:
    if kind != "user":
        return [SOURCES[kind]] if kind in SOURCES else []
    if user.is_superuser or user.is_admin:
        return [Source(USERS, ManagedUserSerializer)]
    return [
        Source(USERS.exclude(pk=user.pk), ColleagueSerializer),
        Source(USERS.filter(pk=user.pk), ProfileSerializer),
    ]
