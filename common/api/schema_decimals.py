"""Decimal numbers in the OpenAPI schema: strings, and in requests numbers too."""

from typing import Any

from django.core.validators import MinValueValidator
from rest_framework.fields import DecimalField


def describe_decimal(
    field: DecimalField, schema: dict[str, Any], *, is_request: bool
) -> dict[str, Any]:
    """Return `schema` of a decimal field with its exact pattern."""
    text = {"type": "string", "format": "decimal", "pattern": _build_pattern(field)}
    others = {name: value for name, value in schema.items() if name not in text}
    if not is_request:
        return text | others
    return others | {"anyOf": [text, _describe_number(field)]}


def _build_pattern(field: DecimalField) -> str:
    sign = "" if _is_never_negative(field) else "-?"
    whole = rf"\d{{1,{field.max_whole_digits}}}" if field.max_whole_digits else r"\d+"
    decimals = rf"(\.\d{{1,{field.decimal_places}}})?" if field.decimal_places else ""
    return f"^{sign}{whole}{decimals}$"


def _describe_number(field: DecimalField) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "number"}
    if field.decimal_places:
        schema["multipleOf"] = 10**-field.decimal_places
    if field.max_whole_digits:
        limit = 10**field.max_whole_digits
        schema |= {"maximum": limit, "exclusiveMaximum": True}
        if not _is_never_negative(field):
            schema |= {"minimum": -limit, "exclusiveMinimum": True}
    return schema | ({"minimum": 0} if _is_never_negative(field) else {})


def _is_never_negative(field: DecimalField) -> bool:
    minimums = [v.limit_value for v in field.validators if isinstance(v, MinValueValidator)]
    return any(minimum >= 0 for minimum in minimums)
