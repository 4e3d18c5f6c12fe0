"""What a person typed, as words to look for."""

import re
import unicodedata
from dataclasses import dataclass

from catalog.search_vectors import NOUN_ENDS, UNSPACED

# More words than these are not looked for: nobody types them, and each costs time.
MOST_WORDS = 16
# Beyond it nothing is read; the longest name has 200 characters.
LONGEST_TEXT = 1000
LONGEST_WORD = 100

# These say how words belong together, not what is wanted. Left out unless there is nothing else.
STOP_WORDS = frozenset(
    "a an and are as at be by for from have has i in is it its me my of on or our that the their"
    " this to we which with you your".split()
)
# After a number they say little: `36"`, `36 in` and `36 inches` are all written.
UNITS = frozenset("x in inch inches ft foot feet cm mm".split())

_NOUN_ENDS = re.compile(NOUN_ENDS, re.IGNORECASE)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’](?=[^\W\d_])")
_WORD = re.compile(rf"[{UNSPACED}]+|[0-9]+|[^\s0-9{UNSPACED}]+")
_UNSPACED = re.compile(f"[{UNSPACED}]")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a query that are looked for: in lower case, in their order, each once."""

    wanted: tuple[str, ...]
    # Among them those up to "with", "for" and the like, the last of which says what the thing is.
    noun: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Words":
        words = _split(text)
        wanted = [word for i, word in enumerate(words) if not _says_little(words, i)] or words
        noun = _split(_NOUN_ENDS.split(text.strip()[:LONGEST_TEXT])[0])
        unique = tuple(dict.fromkeys(wanted))[:MOST_WORDS]
        return cls(unique, tuple(word for word in unique if word in noun) or unique)


def _split(text: str) -> list[str]:
    """As `vectors.words_of` does it for what is stored."""
    text = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).lower()
    text = _APOSTROPHE.sub("", text)
    text = "".join(char if _belongs_to_word(char) else " " for char in text)
    return [word[:LONGEST_WORD] for word in _WORD.findall(text)]


def _belongs_to_word(char: str) -> bool:
    # Marks are the vowels of Indian and other scripts.
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _says_little(words: list[str], i: int) -> bool:
    follows_number = i > 0 and words[i - 1].isdigit()
    return words[i] in STOP_WORDS or (follows_number and words[i] in UNITS)


def phrase_of(word: str) -> str:
    """The word as PostgreSQL is to parse it: unspaced scripts character by character."""
    return _UNSPACED.sub(r" \g<0> ", word).strip()
