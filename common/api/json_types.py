"""The types of values in JSON bodies, where DRF's fields would also convert others.

DRF takes `0` for a text and `"0"` for a number; in a form, every value is a text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

# The classes of fields, the types that they take, and the type's name. `bool` is an `int` too.
JSON_TYPES = (
    (serializers.BooleanField, (bool,), "true or false"),
    (serializers.CharField, (str,), "a string"),
    (serializers.UUIDField, (str,), "a string"),
    ((serializers.IntegerField, serializers.FloatField), (int, float), "a number"),
)


def find_type_errors(
    fields: Mapping[str, serializers.Field], data: Mapping[str, Any]
) -> dict[str, list[ErrorDetail]]:
    """Return the errors of the values in a JSON object that have another type than their field."""
    errors: dict[str, list[ErrorDetail]] = {}
    if isinstance(data, QueryDict):
        return errors
    for name, field in fields.items():
        if not field.read_only and name in data and (error := _find_type_error(field, data[name])):
            errors[name] = error
    return errors


def _find_type_error(field: serializers.Field, value: Any) -> Any:
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return next(filter(None, _item_errors(field.child, value)), None)
    # DRF takes an empty text for null.
    if isinstance(field, serializers.DecimalField) and isinstance(value, str) and not value.strip():
        return [ErrorDetail("This must be a number.", "invalid")]
    for classes, types, type_name in JSON_TYPES:
        if isinstance(field, classes) and value is not None:
            is_right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
            return None if is_right else [ErrorDetail(f"This must be {type_name}.", "invalid")]
    return None


def _item_errors(child: serializers.Field, values: list[Any]) -> Iterator[Any]:
    for index, value in enumerate(values):
        error = _find_type_error(child, value)
        yield {index: error} if error else None
