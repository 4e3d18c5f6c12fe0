"""Recognise text whose characters were not identified, such as "7KH SXPS" for "The pump".

A PDF shows glyphs; which characters they are is stated in tables that some programs leave out.
"""

import re
import unicodedata
from itertools import chain

MAX_INVALID_RATIO = 0.1  # of the characters: control codes and code points without a character
MAX_PRIVATE_RATIO = 0.5  # of the characters, in Unicode's private area; symbol fonts use it
MAX_VOWELLESS_RATIO = 0.3  # of the longer words in Latin letters
MIN_VOWEL_RATIO = 0.2  # of the letters in these words
MIN_WORDS = 12  # for a judgement; fewer where PDFium had to guess most characters
MIN_GUESSED_WORDS = 3
MIN_FOREIGN_WORDS = 3  # for a judgement by the scripts and accents of words
MAX_ACCENTED_RATIO = 0.6  # of the letters; Cyrillic in a Latin encoding has only such letters
MAX_MIXED_RATIO = 0.2  # of the words: those with letters of several scripts
MAX_SYMBOL_RATIO = 0.5  # of the characters, where PDFium had to guess most of them
MIN_GUESSED_RATIO = 0.5
SAMPLE_CHARS = 5_000

_latin_word = re.compile(r"\b[A-Za-z\u00c0-\u024f\u1e00-\u1eff]{4,}\b")
_vowel = re.compile("[aeiouy\u00e6\u00f8\u0153\u0131]")
_COMMON_SCRIPTS = frozenset(
    ("MATHEMATICAL", "MODIFIER", "COMBINING", "MASCULINE", "FEMININE", "MICRO")
)
_EAST_ASIAN = frozenset(
    ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH",
     "KATAKANA-HIRAGANA", "IDEOGRAPHIC")
)  # fmt: skip


def is_readable(text: str, guessed_ratio: float = 0) -> bool:
    """Return whether `text` can be that of a human language, a table or a formula.

    `guessed_ratio` is the part of the characters that the file did not identify.
    """
    sample = text[:SAMPLE_CHARS]
    is_guessed = guessed_ratio >= MIN_GUESSED_RATIO
    characters = "".join(sample.split())
    if not characters:
        return True
    return not (
        _has_invalid_characters(characters)
        or (is_guessed and _count_symbols(characters) > MAX_SYMBOL_RATIO * len(characters))
        or _mixes_scripts(sample)
        or _has_accented_words(sample)
        or _has_unpronounceable_words(sample, MIN_GUESSED_WORDS if is_guessed else MIN_WORDS)
    )


def _has_invalid_characters(characters: str) -> bool:
    categories = [unicodedata.category(character) for character in characters]
    invalid = sum(each in {"Cc", "Cn", "Cs"} for each in categories) + characters.count("\ufffd")
    return invalid > MAX_INVALID_RATIO * len(characters) or categories.count(
        "Co"
    ) > MAX_PRIVATE_RATIO * len(characters)


def _count_symbols(characters: str) -> int:
    return sum(not character.isalnum() for character in characters)


def _mixes_scripts(text: str) -> bool:
    """Return whether too many words have letters of several scripts."""
    words = text.split()
    mixed = sum(_has_mixed_scripts(word) for word in words)
    return mixed >= MIN_FOREIGN_WORDS and mixed > MAX_MIXED_RATIO * len(words)


def _has_mixed_scripts(word: str) -> bool:
    """Except for Latin letters in Chinese, Japanese and Korean, which has no spaces between."""
    if word.isascii():
        return False
    names = {unicodedata.name(letter, "").split(" ")[0] for letter in word if letter.isalpha()}
    scripts = {"CJK" if name in _EAST_ASIAN else name for name in names if name}
    scripts -= _COMMON_SCRIPTS
    return len(scripts) > 1 and scripts != {"CJK", "LATIN"}


def _has_accented_words(text: str) -> bool:
    """Return whether most letters have accents, as Cyrillic shown in a Latin encoding."""
    words = _latin_word.findall(text)
    accented = sum("\u00c0" <= letter <= "\u00ff" for letter in chain.from_iterable(words))
    return len(words) >= MIN_FOREIGN_WORDS and accented > MAX_ACCENTED_RATIO * sum(map(len, words))


def _has_unpronounceable_words(text: str, min_words: int) -> bool:
    """Return whether too many words in Latin letters have no vowels."""
    words = _latin_word.findall(text)
    if len(words) < min_words:
        return False
    plain_words = [unicodedata.normalize("NFD", word.lower()) for word in words]
    letters = sum(map(len, words))
    vowels = sum(len(_vowel.findall(word)) for word in plain_words)
    without_vowels = sum(not _vowel.search(word) for word in plain_words)
    return vowels < MIN_VOWEL_RATIO * letters or without_vowels > MAX_VOWELLESS_RATIO * len(words)
