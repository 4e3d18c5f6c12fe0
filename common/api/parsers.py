"""Parsers of request bodies, which are limited in size and in depth before they are parsed."""

import json
from array import array
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NoReturn

from rest_framework import parsers
from rest_framework.exceptions import ErrorDetail, ParseError, ValidationError

MAX_NESTING_DEPTH = 50
# Python refuses to parse over 4,300 digits; an amount of money has about 20.
MAX_NUMBER_CHARS = 1000

# `[` and `{` are one level deeper, `]` and `}` one level higher, as signed bytes.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_OTHER_BYTES = bytes(set(range(256)) - set(b'[{]}"'))


class JSONParser(parsers.JSONParser):
    """Parses JSON in UTF-8, with a byte order mark or without.

    Rejects a document that is nested deeper than `MAX_NESTING_DEPTH`, a repeated key, and what is
    no number in JSON. `CharsetMiddleware` rejects other charsets.
    """

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping | None = None
    ) -> Any:
        body = stream.read()
        if is_utf16(body):
            raise ParseError("The body is JSON in UTF-16 or UTF-32. Send it in UTF-8.")
        if is_nested_too_deeply(body):
            raise ParseError(f"The JSON is nested deeper than {MAX_NESTING_DEPTH} levels.")
        try:
            return json.loads(
                body.decode("utf-8-sig"),
                parse_constant=_reject_constant,
                parse_int=_parse_int,
                object_pairs_hook=_build_object,
            )
        except UnicodeDecodeError as error:
            message = f"The body is not valid UTF-8, from byte {error.start} on."
            raise ParseError(message) from None
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from None


def is_utf16(body: bytes) -> bool:
    """Return whether a body begins like JSON in UTF-16 or UTF-32.

    Without a byte order mark, the first character is an ASCII one, which has null bytes there.
    """
    return body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in body[:2]


def is_nested_too_deeply(body: bytes) -> bool:
    """Return whether brackets are nested too deeply, in time linear in the size of the body."""
    if body.count(b"[") + body.count(b"{") <= MAX_NESTING_DEPTH:
        return False
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = unescaped.translate(None, _OTHER_BYTES).split(b'"')[::2]
    steps = array("b", b"".join(outside_strings).translate(_STEPS))
    return max(accumulate(steps), default=0) > MAX_NESTING_DEPTH


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _parse_int(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError(f"a number has more than {MAX_NUMBER_CHARS} digits")
    return int(text)


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; reject a repeated key, of which Python would keep only the last value."""
    result = dict(pairs)
    if len(result) < len(pairs):
        key = _find_repeated_key(pairs)
        raise ValidationError({key: [ErrorDetail("This key is repeated.", "duplicate_key")]})
    return result


def _find_repeated_key(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    return next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
