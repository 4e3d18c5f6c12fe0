"""Join the lines of a paragraph, and the parts of words that a line end divides."""

import re
from collections.abc import Iterable

from common.documents.plain_text import continues_sentence

SOFT_HYPHEN = "\u00ad"
MAX_WORD_CHARS = 100  # that are searched at the end of a line

_divided_word = re.compile(f"(\\S*[^\\W_])(?:{SOFT_HYPHEN}[-\u2010]?|[-\u2010])$")
_compound = re.compile(r"\b\w+(?:-\w+)+")
_address = re.compile(r"[/@\\]|\w\.\w")
_unspaced = re.compile("[\u2e80-\ua4cf\uf900-\ufaff\uff00-\uffef]")
_next_word = re.compile(r"[^\W\d_]+")
# "Ein- und Ausgang": the hyphen stands for a part that both words share.
_CONJUNCTIONS = frozenset("und oder bzw and or et ou y o e en of och og".split())
# First parts of English compounds that are written with a hyphen, and ends that make one word.
_COMPOUND_STARTS = frozenset(("well", "self", "all", "half"))
_WORD_ENDS = ("ness", "ish", "less", "ing", "ington")


def find_compounds(lines: Iterable[str]) -> frozenset[str]:
    """Return the compounds with a hyphen inside the lines, in lower case."""
    return frozenset(compound.lower() for line in lines for compound in _compound.findall(line))


def join_lines(before: str, after: str, compounds: frozenset[str] = frozenset()) -> str:
    """Return one text of two lines or paragraphs of which the second continues the first.

    `compounds` are words that keep their hyphen, in lower case.
    """
    if divided := _divided_word.search(before, len(before) - MAX_WORD_CHARS):
        return _join_word(before, divided[1], after, compounds)
    if not before or (_unspaced.match(before[-1]) and _unspaced.match(after)):
        return before + after
    return f"{before} {after}"


def divides_word(line: str) -> bool:
    """Return whether `line` ends with the first part of a word."""
    return bool(_divided_word.search(line, len(line) - MAX_WORD_CHARS))


def is_continued(before: str, after: str) -> bool:
    """Return whether `after`, at the top of a column or page, continues `before`."""
    return divides_word(before) or continues_sentence(before[-MAX_WORD_CHARS:], after)


def _join_word(before: str, start: str, after: str, compounds: frozenset[str]) -> str:
    stem = before[: before.rindex(start) + len(start)]
    if before[len(stem)] == SOFT_HYPHEN:
        return stem + after
    following = _next_word.match(after)
    end = following[0] if following else ""
    if end in _CONJUNCTIONS:
        return f"{stem}- {after}"
    if _keeps_hyphen(start, end, compounds):
        return f"{stem}-{after}"
    return stem + after


def _keeps_hyphen(start: str, end: str, compounds: frozenset[str]) -> bool:
    """Return whether the hyphen is a part of the word, as in "Müller-Lüdenscheidt"."""
    if not end[:1].islower() or "-" in start or _address.search(start) or start[-1].isdigit():
        return True
    word = _next_word.findall(start)[-1].lower()
    if f"{word}-{end}" in compounds:
        return True
    return word in _COMPOUND_STARTS and not end.startswith(_WORD_ENDS)
