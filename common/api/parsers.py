import io
from collections.abc import Mapping
from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError

MAX_NESTING_DEPTH = 50


class JSONParser(parsers.JSONParser):
    """Parses JSON and rejects a document nested deeper than `MAX_NESTING_DEPTH`."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping | None = None
    ) -> Any:
        body = stream.read()
        try:
            data = super().parse(io.BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise _nesting_error() from None
        # Counting brackets is fast; only a body with many of them can be nested too deeply.
        if body.count(b"[") + body.count(b"{") > MAX_NESTING_DEPTH and _is_nested_too_deeply(data):
            raise _nesting_error()
        return data


def _nesting_error() -> ParseError:
    return ParseError(f"JSON parse error - nested deeper than {MAX_NESTING_DEPTH} levels")


def _is_nested_too_deeply(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_NESTING_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return bool(level)
