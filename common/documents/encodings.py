"""Detect the encoding of a text that is not UTF-8.

chardet ranks the encodings. A text that could be read in two ways, or in none without implausible
words, is refused: a wrong letter in every tenth word is worse than a request to send UTF-8.
`benchmarks/encodings.py` measures how many texts are read correctly.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from common.documents.errors import unknown_encoding_error

MAX_SAMPLE_BYTES = 100_000  # that decide, from just before the first byte beyond ASCII
SAMPLE_CONTEXT_BYTES = 1_000
MIN_CONFIDENCE = 0.15  # of chardet, except for encodings of Western Europe
MIN_WESTERN_LEAD = 1.06  # of another encoding over Windows-1252, which is far more common

WESTERN = ("cp1252", "iso8859-1", "iso8859-15")
OLD_WESTERN = ("mac-roman", "cp850")  # of the same languages, on Macintosh and DOS
# Those of Windows, Unix and Macintosh that text files are still found in. The rare ones that
# chardet knows besides differ from these in single letters.
ENCODINGS = (
    *WESTERN,
    *(f"cp{number}" for number in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258, 874)),
    *(f"iso8859-{number}" for number in (2, 4, 5, 6, 7, 8, 9, 13)),
    *("koi8-r", "koi8-u", "mac-roman", "mac-latin2", "mac-cyrillic", "cp850", "cp852", "cp866"),
    *("cp932", "euc_jis_2004", "iso2022_jp_2", "gb18030", "big5hkscs", "cp949"),
    *("utf-16-le", "utf-16-be"),
)

_LATIN_LETTERS = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_OTHER_ALPHABETS = "\u0370-\u0e7f"  # Greek, Cyrillic, Hebrew, Arabic, Thai
_SYMBOLS = (
    "\u00a1-\u00a9\u00ab-\u00b6\u00b8\u00b9\u00bb-\u00bf\u00d7\u00f7\u02c6\u02dc\u2020-\u2022"
    "\u2026\u2030\u2039\u203a\u20ac\u2122\u2200-\u22ff\u2500-\u25ff"
)
_symbol_in_word = re.compile(rf"[^\W\d_][{_SYMBOLS}][^\W\d_]")
_capital_in_word = re.compile(rf"(?<=[^\W\d_A-Z])[{_LATIN_LETTERS}]")
_mixed_word = re.compile(
    rf"[{_LATIN_LETTERS}][{_OTHER_ALPHABETS}]|[{_OTHER_ALPHABETS}][{_LATIN_LETTERS}]"
)
_other_letter = re.compile(f"[{_OTHER_ALPHABETS}]")
_other_word = re.compile(f"[{_OTHER_ALPHABETS}]{{3}}")
_CONTROLS = "\b\t\n\v\f\r\x1b"  # that text files contain
_INVALID_CATEGORIES = ("Cc", "Cn", "Co", "Cs")


class Candidate(NamedTuple):
    """An encoding in which a text is plausible."""

    encoding: str
    confidence: float
    letters: str  # of the text, to compare two readings; quotation marks may differ

    @property
    def is_western(self) -> bool:
        return self.encoding in WESTERN


def detect_encoding(data: bytes) -> str:
    """Return the encoding of `data`. Raises `DocumentRefused` unless it is clear."""
    candidates = list(_find_candidates(_take_sample(data)))
    best = max(candidates, key=_compute_score, default=None)
    if best is None or not _is_clear(best, candidates):
        raise unknown_encoding_error()
    return best.encoding


def decode_unknown(data: bytes) -> str:
    """Return the text in `data`. Raises `DocumentRefused` unless its encoding is clear."""
    try:
        text = data.decode(detect_encoding(data))
    except UnicodeDecodeError:
        raise unknown_encoding_error() from None
    if not is_plausible(text):
        raise unknown_encoding_error()
    return text


def _take_sample(data: bytes) -> bytes:
    """Return the part of `data` that starts shortly before its first byte beyond ASCII."""
    first = re.search(rb"[^\x01-\x7f]", data)
    start = max(0, (first.start() if first else 0) - SAMPLE_CONTEXT_BYTES) & ~1
    return data[start : start + MAX_SAMPLE_BYTES]


def _find_candidates(sample: bytes) -> Iterator[Candidate]:
    """Yield the encodings in which `sample` is plausible."""
    import chardet  # deferred: 0.2 s and 40 MB that UTF-8 does not need

    ranking = chardet.detect_all(
        sample, compat_names=False, include_encodings=ENCODINGS, ignore_threshold=True
    )
    for result in ranking:
        text = _decode_sample(sample, result["encoding"])
        if text and is_plausible(text):
            letters = filter(str.isalpha, unicodedata.normalize("NFC", text))
            yield Candidate(str(result["encoding"]), result["confidence"], "".join(letters))


def _decode_sample(sample: bytes, encoding: str | None) -> str:
    """Return the text of `sample`, which may end inside a character, or "" if it is invalid."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample) if encoding else ""
    except UnicodeDecodeError:
        return ""


def _compute_score(candidate: Candidate) -> float:
    return candidate.confidence * (MIN_WESTERN_LEAD if candidate.is_western else 1)


def _is_clear(best: Candidate, candidates: list[Candidate]) -> bool:
    """Return whether no other reading of the text is about as likely as `best`."""
    if not best.is_western and best.confidence < MIN_CONFIDENCE:
        return False
    others = [c for c in candidates if c.letters != best.letters]
    if best.is_western:
        return all(best.confidence >= c.confidence for c in others if c.encoding in OLD_WESTERN)
    return all(best.confidence > _compute_score(other) for other in others)


def is_plausible(text: str) -> bool:
    """Return whether `text` has no characters where only a wrong encoding puts them.

    These are control characters, symbols and capitals within words, and letters of an alphabet
    within words of another one or in no word at all.
    """
    if any(
        unicodedata.category(char) in _INVALID_CATEGORIES and char not in _CONTROLS
        for char in set(text)
    ):
        return False
    text = unicodedata.normalize("NFC", text)
    if _symbol_in_word.search(text) or _mixed_word.search(text):
        return False
    if any(
        m[0].isupper() and text[m.start() - 1].islower() for m in _capital_in_word.finditer(text)
    ):
        return False
    return bool(_other_word.search(text) or not _other_letter.search(text))
