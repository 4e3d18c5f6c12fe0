"""Object keys: `<prefix>/<path relative to the session's folder>`.

A key consists of one or more segments separated by `/`. A segment is not empty, `.` or `..` and
has no control character or backslash, so that a key means the same in a bucket, a folder and a
URL.
"""

import hashlib
import re

MAX_KEY_BYTES = 1024  # in UTF-8: S3's limit
MAX_SEGMENT_BYTES = 255  # in UTF-8: the limit of file systems

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")


class InvalidKey(ValueError):
    """The text is not a valid key; the message gives the reason."""


def check_key(text: str) -> str:
    """Return `text` if it is a valid key, else raise `InvalidKey`."""
    if problem := key_problem(text):
        raise InvalidKey(problem)
    return text


def check_prefix(text: str) -> str:
    """Return the prefix without trailing slash; raise `InvalidKey` if invalid."""
    prefix = text.removesuffix("/")
    return check_key(prefix) if prefix or text else ""


def join(*parts: str) -> str:
    """Join valid parts to one key or prefix; parts may be empty."""
    return "/".join(filter(None, parts))


def key_problem(text: str) -> str:
    """Return why `text` is not a valid key, as a sentence, or "" if it is."""
    if not text:
        return "It is empty."
    if forbidden := _FORBIDDEN.search(text):
        return _character_problem(forbidden[0])
    if text.startswith("/"):
        return "It begins with a slash."
    if len(text) * 4 > MAX_SEGMENT_BYTES and (problem := _length_problem(text)):
        return problem
    if "//" in text or text.endswith("/"):
        return "It has an empty segment."
    if "." in text and not {".", ".."}.isdisjoint(text.split("/")):
        return "It has a segment . or .. in it."
    return ""


def _character_problem(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "It is not valid UTF-8."
    name = {"\0": "a NUL byte", "\n": "a line break", "\\": "a backslash"}
    return f"It contains {name.get(character, 'a control character')}."


def _length_problem(text: str) -> str:
    encoded = text.encode()
    if len(encoded) > MAX_KEY_BYTES:
        return f"It has more than {MAX_KEY_BYTES} bytes."
    if max(map(len, encoded.split(b"/"))) > MAX_SEGMENT_BYTES:
        return f"It has a segment of more than {MAX_SEGMENT_BYTES} bytes."
    return ""


def escape_name(name: str) -> str:
    """Return a file name as one line of valid text; different names stay different.

    Bytes that are not UTF-8 are given as the surrogates that `os.fsdecode` returns.
    """
    return _FORBIDDEN.sub(_escape_character, name)


def placeholder_key(prefix: str, path: str) -> str:
    """Return a unique text for the row of a path without a valid key.

    It is not a valid key itself and fits into the key column.
    """
    text = join(prefix, path)
    encoded = text.encode()
    if len(encoded) <= MAX_KEY_BYTES:
        return text
    digest = hashlib.sha256(encoded).hexdigest()
    return f"{encoded[: MAX_KEY_BYTES - 80].decode(errors='ignore')}\\…{digest}"


def _escape_character(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\\":
        return r"\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"
