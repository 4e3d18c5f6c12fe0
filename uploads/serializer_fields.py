"""Serializer fields for folders, object keys, globs and JSON objects."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.api.serializers import ListField
from uploads.models import MAX_GLOB_CHARS
from uploads.transfer.globs import check_glob
from uploads.transfer.keys import check_key, check_prefix
from uploads.transfer.source_folder import check_directory

MAX_GLOBS = 100
MAX_JSON_BYTES = 64 * 1024


class CheckedField(serializers.CharField):
    """Text that `check` normalizes, or rejects with a `ValueError`."""

    check: Callable[[str], str]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return type(self).check(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from None


class PrefixField(CheckedField):
    """The beginning of a session's keys; may be empty or end with a slash."""

    check = staticmethod(check_prefix)


class KeyField(CheckedField):
    check = staticmethod(check_key)


class FolderField(CheckedField):
    """A folder relative to the company's source folder, which is `.` itself; "" is none."""

    check = staticmethod(lambda text: text and (check_directory(text) or "."))


class GlobField(CheckedField):
    """A pattern such as `*.csv` or `raw/**` for paths in the session's folder."""

    check = staticmethod(check_glob)


GLOB_SYNTAX = (
    "`*` any characters in one segment, `?` one character, `[a-z]` and `[!a-z]` one (other) "
    "character, `**` any number of whole segments. A glob with a slash is compared with the path "
    "relative to `local_directory`, one without with the file name at any depth; upper and lower "
    "case differ. `folder/**` means all files in a folder."
)


class GlobsField(ListField):
    """A list of globs; `help_text` is followed by their syntax."""

    def __init__(self, *, help_text: str, **kwargs: Any) -> None:
        super().__init__(
            child=GlobField(max_length=MAX_GLOB_CHARS),
            max_length=MAX_GLOBS,
            help_text=f"{help_text} {GLOB_SYNTAX}",
            **kwargs,
        )


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObjectField(serializers.JSONField):
    """A JSON object without NUL bytes, lone surrogates or infinity."""

    default_error_messages = {
        "not_an_object": "Expected a JSON object.",
        "too_large": f"The object may have at most {MAX_JSON_BYTES // 1024} kB as JSON.",
        "null_characters": "Null characters are not allowed.",
    }

    def to_internal_value(self, data: Any) -> Any:
        try:
            value = super().to_internal_value(data)
            if not isinstance(value, dict):
                self.fail("not_an_object")
            if len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode()) > (
                MAX_JSON_BYTES
            ):
                self.fail("too_large")
        except (RecursionError, ValueError):
            self.fail("invalid")
        if any("\0" in string for string in _strings(value)):
            self.fail("null_characters")
        return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
