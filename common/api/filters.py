from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError as FormError
from django.db.models import F, OrderBy, Q, QuerySet
from django.forms import Form
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request

from common.api.text import shorten
from common.api.validation import collect_errors
from common.normalization import get_spellings


class StrictOrderingFilter(OrderingFilter):
    """Orders by `ordering=field` or `-field`, then by id; rejects an unknown field.

    `sort_order` gives the direction of all fields. Rows without a value come last in both
    directions.
    """

    direction_param = "sort_order"
    directions = ("asc", "desc")

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        ordering = self.get_ordering(request, queryset, view)
        return queryset.order_by(*order_nulls_last(queryset, ordering)) if ordering else queryset

    def get_ordering(self, request: Request, queryset: QuerySet, view: Any) -> list[str]:
        ordering, direction = collect_errors(
            lambda: super(StrictOrderingFilter, self).get_ordering(request, queryset, view),
            lambda: self._get_direction(request),
        )
        terms = list(ordering or ())
        if not direction:
            return terms
        if not request.query_params.get(self.ordering_param):
            terms = ["created_at", "id"]
        sign = "-" if direction == "desc" else ""
        return [f"{sign}{term.removeprefix('-')}" for term in terms]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        fields = [
            f"{sign}{name}" for name in getattr(view, "ordering_fields", ()) for sign in ("", "-")
        ]
        return [
            _describe_choice(
                self.ordering_param,
                "The field to order by; `-` before it reverses the order. "
                "`sort_by` is another name for it.",
                fields,
            ),
            _describe_choice(
                self.direction_param,
                "The direction of all fields in `ordering`, or else of `created_at`.",
                list(self.directions),
            ),
        ]

    def _get_direction(self, request: Request) -> str:
        direction = request.query_params.get(self.direction_param, "")
        if direction and direction not in self.directions:
            message = f"Must be one of: {', '.join(self.directions)}."
            raise ValidationError({self.direction_param: [message]})
        return direction

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: list[str], view: Any, request: Request
    ) -> list[str]:
        valid = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        if unknown := [field for field in fields if field.removeprefix("-") not in valid]:
            shown = shorten(", ".join(unknown))
            message = f"Cannot order by {shown!r}. Allowed: {', '.join(valid)}."
            raise ValidationError({self.ordering_param: [message]})
        return [*fields, "-id"]


def _describe_choice(name: str, description: str, choices: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "string", "enum": choices},
    }


def order_nulls_last(queryset: QuerySet, ordering: Iterable[str]) -> Iterator[str | OrderBy]:
    """Yield the terms of `ordering`, with nulls last for the nullable columns.

    Other columns stay as they are, because `DESC NULLS LAST` could not use our indexes.
    """
    nullable = {field.name for field in queryset.model._meta.concrete_fields if field.null}
    for term in ordering:
        name = term.removeprefix("-")
        if name in nullable:
            yield OrderBy(F(name), descending=name != term, nulls_last=True)
        else:
            yield term


class UTCDateTimeField(IsoDateTimeField):
    """A time, converted to UTC: PostgreSQL accepts no UTC offset of more than 15:59 hours."""

    def to_python(self, value: Any) -> datetime | None:
        time = super().to_python(value)
        try:
            return time and time.astimezone(UTC)
        except OverflowError:
            raise FormError(self.error_messages["invalid"], "invalid") from None


class UTCDateTimeFilter(django_filters.IsoDateTimeFilter):
    field_class = UTCDateTimeField


class FilterSet(django_filters.FilterSet):
    """The filters of a list; every list filters by creation time.

    Creates only the filters that the request uses, since copying all takes a millisecond.

    Form classes are cached by the set of filters, so a filter's choices must not depend on the
    request.
    """

    created_after = UTCDateTimeFilter(
        field_name="created_at",
        lookup_expr="gte",
        label="Created at or after this time. `from` is another name for it.",
    )
    created_before = UTCDateTimeFilter(
        field_name="created_at",
        lookup_expr="lt",
        label="Created before this time. `to` is another name for it.",
    )

    base_filters: dict[str, django_filters.Filter]
    _form_classes: ClassVar[dict[tuple[Any, ...], type[Form]]] = {}

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        names = data or {}
        self.base_filters = {name: f for name, f in self.base_filters.items() if name in names}
        super().__init__(data, *args, **kwargs)

    def get_form_class(self) -> type[Form]:
        key = (type(self), *self.filters)
        if key not in self._form_classes:
            self._form_classes[key] = super().get_form_class()
        return self._form_classes[key]


@extend_schema_field(bool)
class BooleanFilter(django_filters.TypedChoiceFilter):
    """Accepts `true`, `false`, `1` and `0`; rejects other values instead of ignoring them."""

    VALUES: ClassVar[dict[str, bool]] = {"true": True, "1": True, "false": False, "0": False}

    def __init__(self, **kwargs: Any) -> None:
        choices = [(text, text) for name in self.VALUES for text in (name, name.capitalize())]
        super().__init__(
            choices=choices, coerce=lambda text: self.VALUES.get(text.lower(), text), **kwargs
        )


def contains(text: str, *fields: str) -> Q:
    """Return the condition that one of the fields contains the text, in any case and spelling."""
    return match_any("icontains", text, *fields)


def match_any(lookup: str, text: str, *fields: str) -> Q:
    """Return the condition that a spelling of the text matches one of the fields."""
    conditions = (Q((f"{f}__{lookup}", t)) for f in fields for t in get_spellings(text))
    return reduce(or_, conditions)


class SearchFilter(django_filters.CharFilter):
    """Matches rows that contain the text in one of `fields`, case-insensitively."""

    def __init__(self, *fields: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fields = fields

    def filter(self, qs: QuerySet, value: str) -> QuerySet:
        return qs.filter(contains(value, *self.fields)) if value else qs


class NameFilter(django_filters.CharFilter):
    """Matches rows whose `field_name` is the text, case-insensitively."""

    def filter(self, qs: QuerySet, value: str) -> QuerySet:
        return qs.filter(match_any("iexact", value, str(self.field_name))) if value else qs


class CreatedFilter(FilterSet):
    """Filters by creation time and creator."""

    user_id = django_filters.UUIDFilter(label="The user who created the row.")
