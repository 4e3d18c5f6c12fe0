"""Which language a text is in, by its letters and its commonest words. Good enough to say honestly
that a summary is not in the language that was asked for."""

import re
from collections import Counter
from typing import NamedTuple

SAMPLE = 20_000  # characters; more of a text tells nothing new
FEW = 0.03  # of the words; where fewer are known, the language is not


class Language(NamedTuple):
    names: str  # in English first, then its own
    script: str  # a class of characters that other languages here don't write, or "" for Latin
    words: frozenset[str] = frozenset()


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
_NAMES = {name: code for code, known in LANGUAGES.items() for name in known.names.split()}
_SCRIPTS = {
    code: re.compile(f"[{known.script}]") for code, known in LANGUAGES.items() if known.script
}
_letter = re.compile(r"[^\W\d_]")
_word = re.compile(r"[^\W\d_]+")
JAPANESE = 0.1  # of the letters; Japanese mixes its own with Chinese ones


def named(language: str) -> str:
    """The code of "German", "Deutsch", "de" or "de-AT"; "" for a language that is not known."""
    name = language.strip().casefold()
    code = re.split("[-_]", name)[0]
    return code if code in LANGUAGES else _NAMES.get(name, "")


def spelt(language: str) -> str:
    """The one spelling of "GERMAN", "Deutsch" and "de", which is "German". What is not known here,
    and "de-AT", stays as it is."""
    name = " ".join(language.split())
    folded = name.casefold()
    code = folded if folded in LANGUAGES else _NAMES.get(folded)
    return LANGUAGES[code].names.split()[0].capitalize() if code else name


def detected(text: str) -> str:
    """The code of the language of `text`, "" if it can't be told."""
    sample = text[:SAMPLE].casefold()
    letters = len(_letter.findall(sample))
    by_script = {code: len(script.findall(sample)) for code, script in _SCRIPTS.items()}
    if by_script["ja"] > JAPANESE * letters:
        return "ja"
    code, count = max(by_script.items(), key=lambda item: item[1])
    return code if count * 2 > letters else _by_words(sample)


def _by_words(sample: str) -> str:
    words = Counter(_word.findall(sample))
    found = {code: sum(words[word] for word in known.words) for code, known in LANGUAGES.items()}
    (code, most), (_, second) = Counter(found).most_common(2)
    return code if most > max(second, FEW * words.total()) else ""


def may_be(text: str, language: str) -> bool:
    """Whether `text` is in `language`, as far as can be told: a few words tell little."""
    asked, found = named(language), detected(text)
    if found:
        return asked == found
    return bool(asked) and not LANGUAGES[asked].script
