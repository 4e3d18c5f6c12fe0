"""Parsing a search query into the words to search for."""

import re
import unicodedata
from dataclasses import dataclass

from catalog.search_vectors import APOSTROPHES, JOINERS, OPTIONAL, UNSPACED

# Each further word costs time, and people type fewer.
MAX_WORDS = 16
# Further text is ignored; the longest name has 200 characters.
MAX_TEXT_CHARS = 1000
MAX_WORD_CHARS = 100

# Ignored unless the query has no other words.
STOP_WORDS = frozenset(
    "a an and are as at be by for from have has i in is it its me my of on or our that the their"
    " this to we which with you your"
    " und mit für ohne oder der das dem ein eine einen von zum zur"
    " du la le les et avec pour sans el los las con para y del con il"
    " met voor het een zonder och og med för".split()
)
# Units after a number are ignored: people write `36"`, `36 in` and `36 inches`.
UNITS = frozenset("x in inch inches ft foot feet cm mm".split())

_APOSTROPHE = re.compile(rf"(?<=[^\W\d_])(?:{APOSTROPHES})(?=[^\W\d_])")
_OPTIONAL = re.compile(f"[{OPTIONAL}]")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_JOINERS = re.compile(f"[{JOINERS}]+")
# Text without spaces, from a letter or digit to the next space.
_CHUNK = re.compile(rf"[{UNSPACED}]+|[^\s+#{UNSPACED}{JOINERS}][^\s{UNSPACED}]*")
_PART = re.compile(rf"[0-9]+|[^0-9+#{JOINERS}]+")
_DIGIT = re.compile("[0-9]")
_DECIMAL = re.compile("[0-9]+[.,][0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class QueryWord:
    """A word of a query, in lower case.

    joined: "wifi" for each of the two words of "wi-fi"; "wh1000xm5" for the code "wh-1000xm5".
    parts: of a code, the words that are stored for it.
    is_phrase: whether these must follow each other; a unit need not follow its number.
    """

    text: str
    joined: str = ""
    parts: tuple[str, ...] = ()
    is_phrase: bool = True

    @property
    def compact(self) -> str:
        """Return the word without signs, or nothing for a decimal number."""
        return self.joined if self.parts else self.text


def parse_query(text: str) -> list[QueryWord]:
    """Return the words of a query, each once, without stop words and units if others remain."""
    tokens = _split(text)
    words = [word for i, word in enumerate(tokens) if not _is_ignored(tokens, i)] or tokens
    return list({word.text: word for word in words}.values())[:MAX_WORDS]


def _split(text: str) -> list[QueryWord]:
    """Split a text as `search_vectors` splits the stored texts, but a code is one word."""
    text = unicodedata.normalize("NFKC", text[:MAX_TEXT_CHARS]).lower()
    text = _APOSTROPHE.sub("", _OPTIONAL.sub("", text))
    text = "".join(char if _is_kept(char) else " " for char in text)
    return [word for chunk in _CHUNK.findall(text) for word in _words_of(chunk)]


def _is_kept(char: str) -> bool:
    # Marks are the vowels of Indian and other scripts.
    is_word_char = char.isalnum() or unicodedata.category(char)[0] == "M"
    return is_word_char or char in "+#" or _JOINERS.match(char) is not None


def _words_of(chunk: str) -> list[QueryWord]:
    """Return the words of a text without spaces: one if it is a code, like "ab-12" or "c++"."""
    chunk = chunk[:MAX_WORD_CHARS]
    parts = tuple(_PART.findall(chunk))
    joined = _JOINERS.sub("", chunk).replace("+", "plus").replace("#", "sharp")[:MAX_WORD_CHARS]
    has_digit = _DIGIT.search(chunk) is not None
    if len(parts) == 1 and (has_digit or joined == parts[0]):
        return [QueryWord(parts[0])]
    if not has_digit and joined == "".join(parts):
        return [QueryWord(part, joined) for part in parts]
    if parts[-1] in UNITS and parts[-2].isdigit():
        without_unit = chunk[: chunk.rindex(parts[-1])]
        return [*_words_of(without_unit), QueryWord(parts[-1])]
    if _DECIMAL.fullmatch(chunk):
        joined = ""
    is_number_with_unit = len(parts) == 2 and chunk == "".join(parts) and chunk[0].isdigit()
    return [QueryWord(chunk, joined, parts, is_phrase=not is_number_with_unit)]


def _is_ignored(words: list[QueryWord], i: int) -> bool:
    text = words[i].text
    follows_number = i > 0 and words[i - 1].text[-1].isdigit()
    return text in STOP_WORDS or (follows_number and text in UNITS)


def to_phrase(word: str) -> str:
    """Return the text for PostgreSQL's parser: unspaced scripts character by character."""
    return _UNSPACED.sub(r" \g<0> ", word).strip()
