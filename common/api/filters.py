from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request


class StrictOrderingFilter(OrderingFilter):
    """`ordering=field` or `-field`; an unknown field is refused and ties are broken by id."""

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: list[str], view: Any, request: Request
    ) -> list[str]:
        known = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        if wrong := [field for field in fields if field.removeprefix("-") not in known]:
            message = f"Can't order by {', '.join(wrong)!r}. Known: {', '.join(known)}."
            raise ValidationError({self.ordering_param: [message]})
        return [*fields, "-id"]
