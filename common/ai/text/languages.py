"""Detect the language of a text by its script and its most common words.

The result is good enough to tell a user that a summary is not in the requested language.
"""

import re
from collections import Counter
from typing import NamedTuple

SAMPLE_CHARS = 20_000  # characters at the start of a text that detection reads
MIN_KNOWN_WORD_RATIO = 0.03  # of the words; with fewer known words the language stays unknown
MIN_KANA_RATIO = 0.1  # of the letters; Japanese mixes kana with Chinese characters


class Language(NamedTuple):
    """A language that Bureau can detect."""

    names: str  # in English, then in the language itself
    script: str  # a regex class of characters of this language alone, "" for Latin letters
    words: frozenset[str] = frozenset()  # its most common words


def _latin(names: str, words: str) -> Language:
    return Language(names, "", frozenset(words.split()))


LANGUAGES = {
    "en": _latin(
        "english", "the and of to is that was for with have are this not they be has will"
    ),
    "de": _latin(
        "german deutsch", "der die das und ist nicht mit den von auf ein eine wird dem zu"
    ),
    "fr": _latin("french français", "le la les et des est une pour dans que du pas sur avec au il"),
    "es": _latin(
        "spanish español castellano", "el los las y es una que por para con del se no como"
    ),
    "it": _latin("italian italiano", "il gli che è di per una non con del della sono e le nel"),
    "pt": _latin("portuguese português", "o os as e é uma que para com não do da em um na foi"),
    "nl": _latin("dutch nederlands", "de het een en van is dat niet op met voor zijn te aan wordt"),
    "pl": _latin("polish polski", "i w na nie się jest że do to z jak ale od po są przez"),
    "sv": _latin("swedish svenska", "och att det är som en på av för inte med den har till ett"),
    "ru": Language("russian русский", "а-яё"),
    "el": Language("greek ελληνικά", "α-ωά-ώ"),
    "he": Language("hebrew עברית", "א-ת"),
    "ar": Language("arabic العربية", "ء-ي"),
    "hi": Language("hindi हिन्दी", "\u0900-\u097f"),
    "th": Language("thai ไทย", "\u0e00-\u0e7f"),
    "ja": Language("japanese 日本語", "\u3041-\u30ff"),
    "ko": Language("korean 한국어", "가-힣"),
    "zh": Language("chinese 中文", "\u4e00-\u9fff"),
}
_CODES_BY_NAME = {
    name: code for code, language in LANGUAGES.items() for name in language.names.split()
}
_SCRIPTS = {
    code: re.compile(f"[{language.script}]")
    for code, language in LANGUAGES.items()
    if language.script
}
_letter = re.compile(r"[^\W\d_]")
_word = re.compile(r"[^\W\d_]+")


def language_code(language: str) -> str:
    """Return the code of "German", "Deutsch", "de" or "de-AT", or "" if it is unknown."""
    name = language.strip().casefold()
    code = re.split("[-_]", name)[0]
    return code if code in LANGUAGES else _CODES_BY_NAME.get(name, "")


def normalize_language(language: str) -> str:
    """Return the English name of a language: "German" for "GERMAN", "Deutsch" or "de".

    Unknown languages and regional codes such as "de-AT" are returned unchanged.
    """
    name = " ".join(language.split())
    folded = name.casefold()
    code = folded if folded in LANGUAGES else _CODES_BY_NAME.get(folded)
    return LANGUAGES[code].names.split()[0].capitalize() if code else name


def detect_language(text: str) -> str:
    """Return the code of the language of `text`, or "" if it is unclear."""
    sample = text[:SAMPLE_CHARS].casefold()
    letters = len(_letter.findall(sample))
    by_script = {code: len(script.findall(sample)) for code, script in _SCRIPTS.items()}
    if by_script["ja"] > MIN_KANA_RATIO * letters:
        return "ja"
    code, count = max(by_script.items(), key=lambda item: item[1])
    return code if count * 2 > letters else _detect_by_words(sample)


def _detect_by_words(sample: str) -> str:
    words = Counter(_word.findall(sample))
    counts = {
        code: sum(words[word] for word in language.words) for code, language in LANGUAGES.items()
    }
    (code, first), (_, second) = Counter(counts).most_common(2)
    return code if first > max(second, MIN_KNOWN_WORD_RATIO * words.total()) else ""


def is_in_language(text: str, language: str) -> bool:
    """Return whether `text` is in `language`, or may be if it is too short to tell."""
    expected, detected = language_code(language), detect_language(text)
    if detected:
        return expected == detected
    return bool(expected) and not LANGUAGES[expected].script
