"""Read-only fields in a request body: an unchanged value is accepted, another one is refused.

So a client can change a row that it has read and send it back. In such a row, recognised by its
`id`, values that the server changes by itself may be outdated.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.fields import Field


def find_read_only_errors(
    serializer: Any, data: Mapping[str, Any]
) -> dict[str, list[serializers.ErrorDetail]]:
    """Return the errors of the read-only fields in `data`, for the instance of `serializer`.

    A new row has no values yet, so only `null` is accepted.
    """
    sent = {
        name: data[name] for name, f in serializer.fields.items() if f.read_only and name in data
    }
    if not sent:
        return {}
    if serializer.instance is None:
        names = [name for name, value in sent.items() if value is not None]
        return _build_errors(names, "This field is read-only. Leave it out.")
    names = _find_changed(serializer, sent)
    return _build_errors(names, "This field is read-only. Leave it out, or send its current value.")


def _find_changed(serializer: Any, sent: dict[str, Any]) -> list[str]:
    row, fields = serializer.to_representation(serializer.instance), serializer.fields
    changed = [n for n, value in sent.items() if not _is_equal(fields[n], value, row.get(n))]
    if "id" in sent and "id" not in changed:
        return [name for name in changed if not _may_be_outdated(serializer, name, sent[name])]
    return changed


def _may_be_outdated(serializer: Any, name: str, value: Any) -> bool:
    """Return whether the server may have changed the field since the row had this value."""
    field = serializer.fields[name]
    is_volatile = isinstance(field, serializers.DateTimeField) or (
        name in serializer.volatile_fields
    )
    return is_volatile and (_is_blank(value) or _is_valid(field, value))


def _is_equal(field: Field, sent: Any, shown: Any) -> bool:
    """Return whether a value means the same as the one that the API shows.

    A time, a number or an id can be spelled in several ways.
    """
    if _is_blank(sent) or _is_blank(shown):
        return _is_blank(sent) and _is_blank(shown)
    if isinstance(field, serializers.Serializer):
        return (
            isinstance(sent, Mapping)
            and sent.keys() == shown.keys()
            and all(_is_equal(field.fields[name], sent[name], shown[name]) for name in shown)
        )
    return _is_valid(field, sent) and _parse(field, sent) == _parse(field, shown)


def _is_blank(value: Any) -> bool:
    return value is None or value == ""


def _is_valid(field: Field, value: Any) -> bool:
    try:
        _parse(field, value)
    except serializers.ValidationError:
        return False
    return True


def _parse(field: Field, value: Any) -> Any:
    try:
        return field.to_internal_value(value)
    except NotImplementedError:  # a computed field
        return value


def _build_errors(names: list[str], message: str) -> dict[str, list[serializers.ErrorDetail]]:
    return {name: [serializers.ErrorDetail(message, "read_only")] for name in names}
