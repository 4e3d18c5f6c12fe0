"""Decode and normalise plain text, and join wrapped lines."""

import codecs
import re
from itertools import pairwise

from common.documents import encodings
from common.documents.errors import DocumentRefused, unsupported_error

MAX_DECODING_ERROR_RATIO = 0.1  # of the characters beyond ASCII, in damaged UTF-8
MAX_CONTROL_RATIO = 0.001  # of the bytes
# These recognise wrapped prose. Its width is the 90th percentile of the lengths of lines.
FULL_LINE_RATIO = 0.75  # of the width; a longer line is full
CONTINUED_LINE_RATIO = 0.5  # the same, for a line whose sentence continues in the next
MIN_LINE_CHARS = 30  # of the width; prose is not wrapped at less
MIN_CONTINUED_RATIO = 0.4  # of the full lines without a full stop that continue in lower case

_CONTROL_BYTES = bytes(set(range(0x20)) - set(b"\b\t\n\v\f\r\x1b")) + b"\x7f"
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_iso_2022_jp_escape = re.compile(rb"\x1b\$[@B(]")  # the start of Japanese in 7-bit mails
_line_break = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_invisible = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u200b\ufeff\ud800-\udfff]")
_space = re.compile(r"[^\S\n]+")
_blank_lines = re.compile(r"\n{3,}")
_end_punctuation = re.compile(
    r"""[.!?:;\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964]["'\u201d\u2019)\]]*$"""
)
list_item = re.compile(r"[-*+\u2022\u25e6\u2013]\s|\(?\d{1,3}[.)]\s|[A-Z][\w .'()-]{0,40}:\s|#|\|")
_hyphenated = re.compile(r"[^\W\d_]-$")
_unspaced = re.compile("[\u2e80-\u9fff\uff00-\uffef]")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)


def decode(data: bytes) -> str:
    """Return the text in `data`.

    It is UTF-8, UTF-16 with a byte order mark, or in another encoding that is clear. Raises
    `DocumentRefused` for data that is not text.
    """
    if data.startswith(_BOMS):
        return _decode_utf_16(data)
    controls = len(data) - len(data.translate(None, _CONTROL_BYTES))
    if b"\0" in data or controls > len(data) * MAX_CONTROL_RATIO:
        return _decode_unmarked_utf_16(data)
    if _iso_2022_jp_escape.search(data):
        return encodings.decode_unknown(data)
    text = data.decode("utf-8-sig", "replace")
    errors = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
    non_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if errors and errors > MAX_DECODING_ERROR_RATIO * non_ascii:
        return encodings.decode_unknown(data)
    return text


def _decode_utf_16(data: bytes) -> str:
    text = data.decode("utf-16", "replace")
    if "\0" in text or text.count("\ufffd") > len(text) * MAX_CONTROL_RATIO:
        raise unsupported_error()
    return text


def _decode_unmarked_utf_16(data: bytes) -> str:
    """Return the text of UTF-16 without a byte order mark, which has bytes like a binary file."""
    try:
        return encodings.decode_unknown(data)
    except DocumentRefused:
        raise unsupported_error() from None


def normalize(text: str) -> str:
    """Return `text` in a readable form that is valid in PostgreSQL and JSON.

    Line ends are unified. Control characters, lone surrogates, ligatures, runs of spaces and
    repeated blank lines are removed.
    """
    text = _line_break.sub("\n", text)
    text = _invisible.sub("", text).translate(_LIGATURES)
    text = "\n".join(line.strip() for line in _space.sub(" ", text).split("\n"))
    return _blank_lines.sub("\n\n", text).strip()


def unwrap_lines(text: str) -> str:
    """Return `text` with the lines of each paragraph joined, if it is wrapped prose.

    In wrapped prose, full lines end without a full stop and the next line starts in lower case.
    The lines of lists and tables do not, and are kept.
    """
    lines = text.split("\n")
    lengths = sorted(filter(None, map(len, lines)))
    width = lengths[len(lengths) * 9 // 10] if lengths else 0
    after_full_lines = [
        after
        for line, after in pairwise(lines)
        if after and len(line) >= FULL_LINE_RATIO * width and not _end_punctuation.search(line)
    ]
    continued = sum(map(starts_mid_sentence, after_full_lines))
    if width < MIN_LINE_CHARS or continued <= len(after_full_lines) * MIN_CONTINUED_RATIO:
        return text
    return "".join(
        _add_separator(line, after, width) for line, after in pairwise([*lines, ""])
    ).rstrip()


def continues_sentence(before: str, after: str) -> bool:
    """Return whether a sentence that `before` leaves open continues in `after`."""
    return after[:1].islower() and not _end_punctuation.search(before)


def starts_mid_sentence(line: str) -> bool:
    """Return whether `line` starts with a letter that is not a capital."""
    return line[:1].isalpha() and not line[:1].isupper()


def _add_separator(line: str, after: str, width: int) -> str:
    """Return `line` with a line end, a space or nothing before the line `after`."""
    ratio = CONTINUED_LINE_RATIO if continues_sentence(line, after) else FULL_LINE_RATIO
    if not after or len(line) < ratio * width or list_item.match(after):
        return line + "\n"
    if after[0].islower() and _hyphenated.search(line):
        return line[:-1]
    return line if _unspaced.match(after) else line + " "
