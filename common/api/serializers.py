from collections.abc import Mapping
from heapq import nsmallest
from typing import Any, ClassVar

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.fields import empty

# A body can have a million unknown fields; the error names only the first of them.
MAX_UNKNOWN_FIELDS_NAMED = 20
# The browsable API's forms send these fields.
FORM_FIELDS = {"csrfmiddlewaretoken"}


class StrictMixin:
    """Rejects unknown fields, together with all other validation errors."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = self._unknown_field_errors(data)
        try:
            value = super().to_internal_value(data)  # type: ignore[misc]
        except serializers.ValidationError as error:
            details: Any = error.detail
            raise serializers.ValidationError({**details, **unknown}) from None
        if unknown:
            raise serializers.ValidationError(unknown)
        return value

    def _unknown_field_errors(self, data: Any) -> dict[str, list[serializers.ErrorDetail]]:
        if not isinstance(data, Mapping):
            return {}
        names = set(data) - set(self.fields)  # type: ignore[attr-defined]
        if isinstance(data, QueryDict):
            names -= FORM_FIELDS
        error = serializers.ErrorDetail("Unknown field.", code="unknown_field")
        return {name: [error] for name in nsmallest(MAX_UNKNOWN_FIELDS_NAMED, names)}


class AliasMixin:
    """Required fields that a client can also send under another name.

    `aliases` maps a field to its other name; the value is stored under the field's own name.
    Missing fields are reported together with all other validation errors.
    """

    aliases: ClassVar[dict[str, str]]

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        missing = self._missing_field_errors(data)
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

    def _missing_field_errors(self, data: Any) -> dict[str, list[serializers.ErrorDetail]]:
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
    """A plain serializer that rejects unknown fields."""


class ModelSerializer(StrictMixin, serializers.ModelSerializer):
    """A model serializer that rejects unknown fields."""


class ListField(serializers.ListField):
    """A list field that checks the list's length before it validates the items."""

    def run_child_validation(self, data: list[Any]) -> list[Any]:
        if self.max_length is not None and len(data) > self.max_length:
            message = self.error_messages["max_length"].format(max_length=self.max_length)
            raise serializers.ValidationError(message, code="max_length")
        values: list[Any] = super().run_child_validation(data)
        return values
