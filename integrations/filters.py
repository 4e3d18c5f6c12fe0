from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django_filters import CharFilter, FilterSet
from rest_framework.exceptions import ErrorDetail, ValidationError

from common.api.text import find_nearest, shorten
from common.events.kinds import event_types

TYPES_DESCRIPTION = (
    "Only events of these types, separated by commas; `note.*` stands for all types of notes."
)
MAX_PATTERNS = 50


def split_types(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_patterns(names: list[str], *, field: str, other_types: Iterable[str] = ()) -> list[str]:
    """Return the types and wildcards, or raise `ValidationError` for one that matches no type.

    other_types: those that are accepted besides the types of events.
    """
    if len(names) > MAX_PATTERNS:
        message = f"Send at most {MAX_PATTERNS} types, or wildcards such as `note.*`."
        raise ValidationError({field: [ErrorDetail(message, "max_length")]})
    types = {*event_types(), *other_types}
    known = {*types, *(f"{name.partition('.')[0]}.*" for name in types), "*"}
    for name in names:
        if name not in known:
            message = f"Unknown type {shorten(name)!r}. Did you mean `{find_nearest(name, known)}`?"
            raise ValidationError({field: [ErrorDetail(message, "invalid_choice")]})
    return names


class EventFilter(FilterSet):
    types = CharFilter(method="filter_types", help_text=TYPES_DESCRIPTION)

    def filter_types(self, events: QuerySet, name: str, value: str) -> Any:
        patterns = parse_patterns(split_types(value), field=name)
        return events.of_types(patterns)  # type: ignore[attr-defined]
