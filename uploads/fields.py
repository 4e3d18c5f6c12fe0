"""What clients may write where a name becomes a folder, a key or a pattern."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from rest_framework import serializers

from common.api.serializers import ListField
from uploads.models import LONGEST_GLOB
from uploads.transfer.globs import check_glob
from uploads.transfer.keys import check_key, check_prefix
from uploads.transfer.sources import check_directory

MOST_GLOBS = 100
LARGEST_METADATA = 64 * 1024


class CheckedField(serializers.CharField):
    """Text that `check` returns in its one spelling, or refuses by a `ValueError` that says why."""

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
    """What all keys begin with; a slash at its end is left out, and empty will do."""

    check = staticmethod(check_prefix)


class KeyField(CheckedField):
    check = staticmethod(check_key)


class FolderField(CheckedField):
    """A folder below the company's own, which `.` is by itself."""

    check = staticmethod(lambda text: check_directory(text) or ".")


class GlobField(CheckedField):
    """A pattern such as `*.csv` or `raw/**`, of paths below the session's folder."""

    check = staticmethod(check_glob)


class GlobsField(ListField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=GlobField(max_length=LONGEST_GLOB), max_length=MOST_GLOBS, **kwargs)


class JsonObjectField(serializers.JSONField):
    """A JSON object that PostgreSQL takes: without NUL bytes, lone surrogates or infinity."""

    default_error_messages = {
        "not_an_object": "A JSON object is expected.",
        "too_large": f"At most {LARGEST_METADATA // 1024} kB are taken.",
        "null_characters": "Null characters are not allowed.",
    }

    def to_internal_value(self, data: Any) -> Any:
        try:
            value = super().to_internal_value(data)
            if not isinstance(value, dict):
                self.fail("not_an_object")
            if len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode()) > (
                LARGEST_METADATA
            ):
                self.fail("too_large")
        except (RecursionError, ValueError):
            self.fail("invalid")
        if any("\0" in text for text in _texts(value)):
            self.fail("null_characters")
        return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
