from collections.abc import Mapping
from heapq import nsmallest
from typing import Any, ClassVar

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.fields import empty

# So many unknown fields are named; a body may hold a million of them.
MOST_UNKNOWN = 20
# The browsable API's forms send it along.
FORM_FIELDS = {"csrfmiddlewaretoken"}


class StrictMixin:
    """Refuses a field that the serializer does not know, together with all other errors."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = self._unknown(data)
        try:
            value = super().to_internal_value(data)  # type: ignore[misc]
        except serializers.ValidationError as error:
            details: Any = error.detail
            raise serializers.ValidationError({**details, **unknown}) from None
        if unknown:
            raise serializers.ValidationError(unknown)
        return value

    def _unknown(self, data: Any) -> dict[str, list[serializers.ErrorDetail]]:
        if not isinstance(data, Mapping):
            return {}
        names = set(data) - set(self.fields)  # type: ignore[attr-defined]
        if isinstance(data, QueryDict):
            names -= FORM_FIELDS
        error = serializers.ErrorDetail("This field is not known here.", code="unknown_field")
        return {name: [error] for name in nsmallest(MOST_UNKNOWN, names)}


class AliasMixin:
    """Required fields that may come by another name too; the value is found under the first.

    What is missing is named together with all other errors.
    """

    aliases: ClassVar[dict[str, str]]

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        missing = self._missing(data)
        try:
            attrs: dict[str, Any] = super().to_internal_value(data)  # type: ignore[misc]
        except serializers.ValidationError as error:
            details: Any = error.detail
            raise serializers.ValidationError({**missing, **details}) from None
        if missing:
            raise serializers.ValidationError(missing)
        for name, alias in self.aliases.items():
            attrs.setdefault(name, attrs.pop(alias, None))
        return attrs

    def _missing(self, data: Any) -> dict[str, list[serializers.ErrorDetail]]:
        if not isinstance(data, Mapping):
            return {}
        fields = self.fields  # type: ignore[attr-defined]
        error = serializers.ErrorDetail("This field is required.", "required")
        return {
            name: [error]
            for name, alias in self.aliases.items()
            if all(fields[field].get_value(data) is empty for field in (name, alias))
        }


class Serializer(StrictMixin, serializers.Serializer):
    """A plain serializer that refuses unknown fields."""


class ModelSerializer(StrictMixin, serializers.ModelSerializer):
    """A model's serializer that refuses unknown fields."""


class ListField(serializers.ListField):
    """A list whose length is looked at before what is in it."""

    def run_child_validation(self, data: list[Any]) -> list[Any]:
        if self.max_length is not None and len(data) > self.max_length:
            message = self.error_messages["max_length"].format(max_length=self.max_length)
            raise serializers.ValidationError(message, code="max_length")
        values: list[Any] = super().run_child_validation(data)
        return values
