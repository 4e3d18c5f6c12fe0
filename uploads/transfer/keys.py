"""The names of objects: `<prefix>/<path below the session's folder>`, checked in this one place.

A key is text of one or more segments with `/` between them. Segments are neither empty nor `.`
nor `..`, and hold no control character and no backslash, so that a key means the same in a
bucket, in a folder and in a URL.
"""

import hashlib
import re

LONGEST_KEY = 1024  # bytes of UTF-8: S3's limit
LONGEST_SEGMENT = 255  # bytes of UTF-8: what file systems bear

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")


class BadKey(ValueError):
    """The text is no key; the message says why."""


def check_key(text: str) -> str:
    """Return `text` if it is a key, and raise `BadKey` where it is not."""
    if problem := key_problem(text):
        raise BadKey(problem)
    return text


def check_prefix(text: str) -> str:
    """The prefix without the `/` that it may end with; `""` is one too."""
    prefix = text.removesuffix("/")
    return check_key(prefix) if prefix or text else ""


def join(*parts: str) -> str:
    """One key, or prefix, made of checked parts, of which some may be empty."""
    return "/".join(filter(None, parts))


def key_problem(text: str) -> str:
    """Why `text` is no key, in a sentence; `""` where it is one."""
    if not text:
        return "It is empty."
    if bad := _FORBIDDEN.search(text):
        return _forbidden(bad[0])
    if text.startswith("/"):
        return "It begins with a slash."
    if len(text) * 4 > LONGEST_SEGMENT and (problem := _length_problem(text)):
        return problem
    if "//" in text or text.endswith("/"):
        return "It has an empty segment."
    if "." in text and not {".", ".."}.isdisjoint(text.split("/")):
        return "It has a segment . or .. in it."
    return ""


def _forbidden(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "It is no valid UTF-8."
    name = {"\0": "a NUL byte", "\n": "a line break", "\\": "a backslash"}
    return f"It holds {name.get(character, 'a control character')}."


def _length_problem(text: str) -> str:
    encoded = text.encode()
    if len(encoded) > LONGEST_KEY:
        return f"It has more than {LONGEST_KEY} bytes."
    if max(map(len, encoded.split(b"/"))) > LONGEST_SEGMENT:
        return f"It has a segment of more than {LONGEST_SEGMENT} bytes."
    return ""


def printable(name: str) -> str:
    """A file's name as one line that can be stored and read; no two names give the same.

    Bytes that are no UTF-8 come as the surrogates that `os.fsdecode` makes of them.
    """
    return _FORBIDDEN.sub(_escaped, name)


def stand_in(prefix: str, path: str) -> str:
    """What names an entry that can have no key: no key either, and of the same length at most."""
    text = join(prefix, path)
    encoded = text.encode()
    if len(encoded) <= LONGEST_KEY:
        return text
    digest = hashlib.sha256(encoded).hexdigest()
    return f"{encoded[: LONGEST_KEY - 80].decode(errors='ignore')}\\…{digest}"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\\":
        return r"\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"
