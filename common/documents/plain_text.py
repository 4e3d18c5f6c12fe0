"""Plain text: which encoding it is in, and what of it is not for a database."""

import codecs
import re
from itertools import pairwise

from common.documents.types import DocumentRefused, unsupported

WRONG = 0.1  # of the characters beyond ASCII that damaged UTF-8 may have
NOISE = 0.001  # of the bytes that may be control characters
FOREIGN = 0.3  # of the bytes that the letters of Windows-1252 beyond ASCII may be
# By these, lines are told to be of broken prose. Lengths are parts of a full line's.
FULL, HALF = 0.75, 0.5
NARROW = 30  # characters; no prose is set in less
BROKEN = 0.4  # of the full lines that end with no stop, those that go on with a small letter

_CONTROLS = bytes(set(range(0x20)) - set(b"\b\t\n\v\f\r\x1b")) + b"\x7f"
_HIGH = bytes(range(0x80, 0x100))
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_line_end = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_invisible = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u200b\ufeff\ud800-\udfff]")
_space = re.compile(r"[^\S\n]+")
_blank_lines = re.compile(r"\n{3,}")
_stop = re.compile(
    r"""[.!?:;\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964]["'\u201d\u2019)\]]*$"""
).search
_item = re.compile(r"[-*+\u2022\u25e6\u2013]\s|\(?\d{1,3}[.)]\s|[A-Z][\w .'()-]{0,40}:\s|#|\|")
_hyphened = re.compile(r"[^\W\d_]-$")
_spaceless = re.compile("[\u2e80-\u9fff\uff00-\uffef]")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)


def decoded(data: bytes) -> str:
    """The text in `data`: UTF-8, UTF-16 with its mark, or Windows-1252 where it looks like it.

    Raises `DocumentRefused` for what is no text.
    """
    if data.startswith(_BOMS):
        return _utf_16(data)
    noise = len(data) - len(data.translate(None, _CONTROLS))
    if b"\0" in data or noise > len(data) * NOISE:
        raise unsupported()
    text = data.decode("utf-8-sig", "replace")
    wrong = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
    if wrong and wrong > WRONG * (len(text) - len(text.encode("ascii", "ignore"))):
        return _windows_1252(data)
    return text


def _utf_16(data: bytes) -> str:
    text = data.decode("utf-16", "replace")
    if "\0" in text or text.count("\ufffd") > len(text) * NOISE:
        raise unsupported()
    return text


def _windows_1252(data: bytes) -> str:
    high = len(data) - len(data.translate(None, _HIGH))
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        high = len(data)
    if high > len(data) * FOREIGN:
        raise DocumentRefused(
            "It is no text in an encoding that can be told for sure: save it as UTF-8.",
            "unsupported",
        )
    return text


def tidied(text: str) -> str:
    """`text` as PostgreSQL, JSON and a reader take it: one kind of line end, no control characters
    or lone surrogates, no runs of spaces, at most one blank line, no typographic ligatures."""
    text = _line_end.sub("\n", text)
    text = _invisible.sub("", text).translate(_LIGATURES)
    text = "\n".join(line.strip() for line in _space.sub(" ", text).split("\n"))
    return _blank_lines.sub("\n\n", text).strip()


def unwrapped(text: str) -> str:
    """`text` with its paragraphs' lines joined, if it is prose that was broken into lines.

    Sentences are looked for within lines. That lines were broken shows where full ones end with
    no stop and the next begins with a small letter; the lines of a list or a table do not.
    """
    lines = text.split("\n")
    lengths = sorted(filter(None, map(len, lines)))
    width = lengths[len(lengths) * 9 // 10] if lengths else 0
    open_ends = [b for a, b in pairwise(lines) if b and len(a) >= FULL * width and not _stop(a)]
    if width < NARROW or sum(map(_continues, open_ends)) <= len(open_ends) * BROKEN:
        return text
    return "".join(_before(line, after, width) for line, after in pairwise([*lines, ""])).rstrip()


def goes_on(before: str, after: str) -> bool:
    """Whether a sentence that `before` leaves open goes on in `after`."""
    return after[:1].islower() and not _stop(before)


def _continues(line: str) -> bool:
    return line[0].isalpha() and not line[0].isupper()


def _before(line: str, after: str, width: int) -> str:
    """`line` with what divides it from the line `after` it."""
    wrapped = len(line) >= (HALF if goes_on(line, after) else FULL) * width
    if not after or not wrapped or _item.match(after):
        return line + "\n"
    if after[0].islower() and _hyphened.search(line):
        return line[:-1]
    return line if _spaceless.match(after) else line + " "
