from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.fields import empty

from common.api.json_types import find_type_errors
from common.api.nulls import replace_nulls
from common.api.read_only_fields import find_read_only_errors
from common.api.unknown_fields import find_unknown_errors


class StrictMixin:
    """Rejects what would be dropped, and takes `null` as an empty value where that is possible.

    Unknown fields, and read-only fields with another value than the row's, are reported together
    with all other validation errors.

    volatile_fields: the read-only fields that the server changes by itself, besides times. In a row
    that is sent back with its `id` they may be outdated.
    """

    volatile_fields: ClassVar[Collection[str]] = ()

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)  # type: ignore[misc]
        fields = self.fields  # type: ignore[attr-defined]
        type_errors = find_type_errors(fields, data)
        errors = find_unknown_errors(data, fields) | find_read_only_errors(self, data)
        try:
            value = super().to_internal_value(replace_nulls(self, data))  # type: ignore[misc]
        except serializers.ValidationError as error:
            details: Any = error.detail
            raise serializers.ValidationError({**type_errors, **details, **errors}) from None
        if type_errors or errors:
            raise serializers.ValidationError({**type_errors, **errors})
        return value


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
            if all(fields[field].get_value(data) in (empty, None) for field in (name, alias))
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
