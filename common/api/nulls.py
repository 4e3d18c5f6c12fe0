"""What `null` means for a field that is not nullable."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.fields import Field

OMITTABLE_FIELDS = (serializers.CharField, serializers.ChoiceField, serializers.FileField)


def replace_nulls(serializer: Any, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace each `null` of an optional text, list or object by an empty value.

    In a new row, `null` for a text or a file that can't be empty means that it was left out.
    """
    nulls = [name for name, value in data.items() if value is None and name in serializer.fields]
    if not nulls:
        return data
    values = dict(data)
    for name in nulls:
        field = serializer.fields[name]
        if (value := get_empty_value(field)) is not None:
            values[name] = value
        elif is_omittable(field) and serializer.instance is None:
            del values[name]
    return values


def accepts_null(field: Field, *, is_new_row: bool) -> bool:
    """Return whether `replace_nulls` accepts `null` for the field."""
    return get_empty_value(field) is not None or (is_new_row and is_omittable(field))


def get_empty_value(field: Field) -> Any:
    """Return the value that `null` stands for, or None if there is none."""
    if not _is_optional(field):
        return None
    if isinstance(field, serializers.CharField):
        return "" if field.allow_blank else None
    if isinstance(field, serializers.ListField):
        return [] if field.allow_empty else None
    return {} if isinstance(field, serializers.JSONField) else None


def is_omittable(field: Field) -> bool:
    """Return whether `null` in a new row means that the field was left out."""
    return _is_optional(field) and isinstance(field, OMITTABLE_FIELDS)


def _is_optional(field: Field) -> bool:
    return not (field.required or field.read_only or field.allow_null)
