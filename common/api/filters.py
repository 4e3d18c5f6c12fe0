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


class StrictOrderingFilter(OrderingFilter):
    """`ordering=field` or `-field`; an unknown field is refused and ties are broken by id.

    Rows without a value come last in both directions.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        ordering = self.get_ordering(request, queryset, view)
        return queryset.order_by(*missing_last(queryset, ordering)) if ordering else queryset

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: list[str], view: Any, request: Request
    ) -> list[str]:
        known = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        if wrong := [field for field in fields if field.removeprefix("-") not in known]:
            message = f"Can't order by {', '.join(wrong)!r}. Known: {', '.join(known)}."
            raise ValidationError({self.ordering_param: [message]})
        return [*fields, "-id"]


def missing_last(queryset: QuerySet, ordering: Iterable[str]) -> Iterator[str | OrderBy]:
    """The `ordering`, in which rows without a value come last.

    Columns that always have one stay as they are: for `DESC NULLS LAST` no index of ours is read.
    """
    nullable = {field.name for field in queryset.model._meta.concrete_fields if field.null}
    for term in ordering:
        name = term.removeprefix("-")
        if name in nullable:
            yield OrderBy(F(name), descending=name != term, nulls_last=True)
        else:
            yield term


class FilterSet(django_filters.FilterSet):
    """Makes only the filters that a request asks for: copying the others takes a millisecond.

    The form's class is kept for the next request with the same filters, so a filter's choices are
    not to depend on the request.
    """

    base_filters: dict[str, django_filters.Filter]
    _form_classes: ClassVar[dict[tuple[Any, ...], type[Form]]] = {}

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        asked = data or {}
        self.base_filters = {name: f for name, f in self.base_filters.items() if name in asked}
        super().__init__(data, *args, **kwargs)

    def get_form_class(self) -> type[Form]:
        key = (type(self), *self.filters)
        if key not in self._form_classes:
            self._form_classes[key] = super().get_form_class()
        return self._form_classes[key]


@extend_schema_field(bool)
class BooleanFilter(django_filters.TypedChoiceFilter):
    """`true` or `false`, also `1` and `0`; anything else is refused instead of ignored."""

    words: ClassVar[dict[str, bool]] = {"true": True, "1": True, "false": False, "0": False}

    def __init__(self, **kwargs: Any) -> None:
        choices = [(word, word) for name in self.words for word in (name, name.capitalize())]
        super().__init__(
            choices=choices, coerce=lambda word: self.words.get(word.lower(), word), **kwargs
        )


class SearchFilter(django_filters.CharFilter):
    """Rows of which one of the `fields` holds the words, in any case."""

    def __init__(self, *fields: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fields = fields

    def filter(self, qs: QuerySet, value: str) -> QuerySet:
        if not value:
            return qs
        return qs.filter(reduce(or_, (Q(**{f"{name}__icontains": value}) for name in self.fields)))


class TimeField(IsoDateTimeField):
    """A time, in UTC: PostgreSQL knows no zone that is more than 15:59 hours away from it."""

    def to_python(self, value: Any) -> datetime | None:
        time = super().to_python(value)
        try:
            return time and time.astimezone(UTC)
        except OverflowError:
            raise FormError(self.error_messages["invalid"], "invalid") from None


class TimeFilter(django_filters.IsoDateTimeFilter):
    field_class = TimeField


class CreatedFilter(FilterSet):
    """When a row was made, and by whom."""

    created_after = TimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = TimeFilter(field_name="created_at", lookup_expr="lt")
    user_id = django_filters.UUIDFilter(label="Who made it.")
