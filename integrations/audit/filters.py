from typing import Any
from uuid import UUID

import django_filters
from django.core.exceptions import ValidationError as FormError
from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from common.api.filters import StrictOrderingFilter, UTCDateTimeFilter
from common.events.models import Outcome
from integrations.filters import parse_patterns, split_types

MAX_ID_CHARS = 36


def check_types(text: str) -> None:
    """Raise Django's `ValidationError`, which is reported with the errors of other filters."""
    try:
        parse_patterns(split_types(text), field="action")
    except ValidationError as error:
        errors: Any = error.detail
        (detail,) = errors["action"]
        raise FormError(detail, detail.code) from None


class AuditFilter(django_filters.FilterSet):
    actor = django_filters.UUIDFilter(
        field_name="actor_id", help_text="The id of the user who did it."
    )
    action = django_filters.CharFilter(
        method="filter_action",
        validators=[check_types],
        help_text="Types of events, separated by commas; `note.*` stands for all types of notes.",
    )
    target = django_filters.CharFilter(
        method="filter_target",
        max_length=MAX_ID_CHARS,
        help_text="The id of the row to which it was done.",
    )
    request_id = django_filters.CharFilter(
        max_length=128, help_text="The `X-Request-ID` of the request that caused it."
    )
    outcome = django_filters.ChoiceFilter(
        choices=Outcome.choices, help_text="How it ended; `denied`: the actor may not do it."
    )
    # `from` is a keyword of Python.
    vars()["from"] = UTCDateTimeFilter(
        field_name="occurred_at", lookup_expr="gte", help_text="At or after this time."
    )
    to = UTCDateTimeFilter(
        field_name="occurred_at", lookup_expr="lt", help_text="Before this time."
    )

    def filter_action(self, events: Any, _name: str, value: str) -> Any:
        return events.of_types(split_types(value))

    def filter_target(self, events: QuerySet, _name: str, value: str) -> QuerySet:
        return events.filter(target_id=_normalize_id(value))


class AuditOrdering(StrictOrderingFilter):
    """Orders by time, that is in the order of the chain: the newest events first by default."""

    def get_ordering(self, request: Request, queryset: QuerySet, view: Any) -> list[str]:
        terms = super().get_ordering(request, queryset, view)
        sign = "-" if terms[0].startswith("-") else ""
        return [f"{sign}xid", f"{sign}sequence"]


def _normalize_id(text: str) -> str:
    """Return an id as events store it; some rows have numbers."""
    try:
        return str(UUID(text))
    except ValueError:
        return text
