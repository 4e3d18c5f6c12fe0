"""Parsing a search query into the words to search for."""

import re
import unicodedata
from dataclasses import dataclass

from catalog.search_vectors import NOUN_ENDS, UNSPACED

# Each further word costs time, and people type fewer.
MAX_WORDS = 16
# Further text is ignored; the longest name has 200 characters.
MAX_TEXT_CHARS = 1000
MAX_WORD_CHARS = 100

# Ignored unless the query has no other words.
STOP_WORDS = frozenset(
    "a an and are as at be by for from have has i in is it its me my of on or our that the their"
    " this to we which with you your".split()
)
# Units after a number are ignored: people write `36"`, `36 in` and `36 inches`.
UNITS = frozenset("x in inch inches ft foot feet cm mm".split())

_NOUN_ENDS = re.compile(NOUN_ENDS, re.IGNORECASE)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’](?=[^\W\d_])")
_WORD = re.compile(rf"[{UNSPACED}]+|[0-9]+|[^\s0-9{UNSPACED}]+")
_UNSPACED = re.compile(f"[{UNSPACED}]")


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """The words of a query: lower case, in their order, each once.

    `noun_phrase` is the words before "with", "for" and the like; its last word names the product.
    """

    words: tuple[str, ...]
    noun_phrase: tuple[str, ...] = ()


def parse_query(text: str) -> ParsedQuery:
    """Return the words of a query, without stop words and units if others remain."""
    tokens = _split(text)
    words = [word for i, word in enumerate(tokens) if not _is_ignored(tokens, i)] or tokens
    unique = tuple(dict.fromkeys(words))[:MAX_WORDS]
    before_preposition = _split(_NOUN_ENDS.split(text.strip()[:MAX_TEXT_CHARS])[0])
    noun_phrase = tuple(word for word in unique if word in before_preposition)
    return ParsedQuery(unique, noun_phrase or unique)


def _split(text: str) -> list[str]:
    """Split a text as `search_vectors.words_of` splits the stored texts."""
    text = unicodedata.normalize("NFKC", text[:MAX_TEXT_CHARS]).lower()
    text = _APOSTROPHE.sub("", text)
    text = "".join(char if _is_word_char(char) else " " for char in text)
    return [word[:MAX_WORD_CHARS] for word in _WORD.findall(text)]


def _is_word_char(char: str) -> bool:
    # Marks are the vowels of Indian and other scripts.
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _is_ignored(words: list[str], i: int) -> bool:
    follows_number = i > 0 and words[i - 1].isdigit()
    return words[i] in STOP_WORDS or (follows_number and words[i] in UNITS)


def to_phrase(word: str) -> str:
    """Return the text for PostgreSQL's parser: unspaced scripts character by character."""
    return _UNSPACED.sub(r" \g<0> ", word).strip()
