"""Find the numbers and units of a description that the product's facts don't contain."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from catalog.descriptions.units import (
    ARTICLES,
    CURRENCIES,
    DISTINCT_NAMES,
    UNIT_PATTERN,
    UNITS,
    build_number_words,
)

# "10 000", or "1,234.5" with any separators.
_NUMBER = r"\d{1,3}(?:[ ]\d{3})+(?!\d)|\d+(?:[.,'\u2019]\d+)*"
_claim = re.compile(
    rf"(?P<currency>{CURRENCIES})?[ ]?(?P<letters>[A-Za-z]{{0,12}})(?P<number>{_NUMBER})"
    rf"(?:[ -]?(?P<unit>{UNIT_PATTERN})(?![A-Za-zÀ-ÿ0-9]))?"
)
# Between the numbers of "65 to 130 cm" and "160 x 80 cm", which share the unit.
_connector = re.compile(
    r"\s*(?:to|by|x|×|\*|-|\u2013|\u2014|/|,|and|or|bis|mal|auf|und|oder|à|et|ou|y|o|\.{2,3})\s*",
    re.IGNORECASE,
)
# "Weight (kg): 12"
_label_unit = re.compile(rf"(?<![A-Za-zÀ-ÿ])(?P<unit>{UNIT_PATTERN})[)\]]?\s?[:=]\s{{0,3}}\Z")
MAX_LABEL_CHARS = 24
_inches = re.compile(r"(?<=\d)[ ]?(?:''|\u2033|\u2032\u2032|in\.)")
# Signs that mean a unit only in data: in prose they are also quotation marks and words.
_inches_in_data = re.compile(r"(?<=\d)[ ]?(?:\"|in\b)", re.IGNORECASE)
_feet_in_data = re.compile(r"(?<=\d)[ ]?['\u2032](?![\d'])")
_word = re.compile(r"[^\W\d_]+")
_separators = re.compile(r"[\s_-]+")
_thousands = re.compile(r"\d{1,3}([.,])\d{3}(?:\1\d{3})*")


class Claim(NamedTuple):
    """A number in a text; `values` are what it can mean, `text` is how it is written."""

    values: frozenset[str]
    unit: str
    text: str


class Claims(NamedTuple):
    """The numbers of a text, and its units, also those without a number."""

    numbers: list[Claim]
    units: frozenset[str]


def find_invented_claims(text: str, facts: str, *, language: str) -> list[str]:
    """Return the numbers, measures and units in `text` that `facts` does not contain.

    A number with a unit must have the same unit there: "160" is no "160 cm".
    """
    text, facts = (_normalize(source, language) for source in (text, facts))
    facts = _feet_in_data.sub(" foot", _inches_in_data.sub(" inch", facts))
    known, said = _parse_claims(facts), _parse_claims(text)
    squashed = _squash(facts)
    invented = [claim.text for claim in said.numbers if not _is_known(claim, known, squashed)]
    units = {claim.unit for claim in said.numbers} | known.units
    names = {word for word in map(str.casefold, _word.findall(text)) if word in DISTINCT_NAMES}
    invented += sorted(name for name in names if UNITS[name] not in units)
    return list(dict.fromkeys(invented))


def _is_known(claim: Claim, known: Claims, squashed_facts: str) -> bool:
    if any(claim.values & fact.values and claim.unit in ("", fact.unit) for fact in known.numbers):
        # The letters of a code such as IP67 are a part of it.
        return not claim.text[0].isalpha() or _squash(claim.text) in squashed_facts
    return False


def _normalize(text: str, language: str) -> str:
    """Return `text` with digits instead of number words, and one form of each character."""
    text = _inches.sub(" inch", unicodedata.normalize("NFKC", text))
    pattern, words = _compile_number_words(language)
    text = pattern.sub(lambda match: str(words[match[0].casefold()]), text)
    return ARTICLES.sub("1", text)


@cache
def _compile_number_words(language: str) -> tuple[re.Pattern[str], dict[str, int]]:
    words = build_number_words(language)
    alternatives = "|".join(sorted(words, key=len, reverse=True))
    # Also before a unit: "zweijährige".
    end = rf"(?=\b|(?:{'|'.join(name for name in DISTINCT_NAMES | {'jährig', 'monatig'})}))"
    return re.compile(rf"\b(?:{alternatives}){end}", re.IGNORECASE), words


def _parse_claims(text: str) -> Claims:
    matches = list(_claim.finditer(text))
    units = [_find_unit(match) or _find_label_unit(text, match.start()) for match in matches]
    # From the end, so that a list of numbers gets the unit that is written once.
    for n in range(len(matches) - 2, -1, -1):
        between = text[matches[n].end() : matches[n + 1].start()]
        if not units[n] and _connector.fullmatch(between):
            units[n] = units[n + 1]
    numbers = [
        Claim(_parse_values(match["number"]), unit, match[0].strip())
        for match, unit in zip(matches, units, strict=True)
    ]
    names = {UNITS[word] for word in map(str.casefold, _word.findall(text)) if word in UNITS}
    return Claims(numbers, frozenset(units) | names)


def _find_unit(match: re.Match[str]) -> str:
    name = match["unit"] or match["currency"] or match["letters"]
    return _get_unit(name) if name else ""


def _find_label_unit(text: str, start: int) -> str:
    label = _label_unit.search(text[max(0, start - MAX_LABEL_CHARS) : start])
    return _get_unit(label["unit"]) if label else ""


def _get_unit(name: str) -> str:
    return UNITS.get(name if len(name) == 1 else name.casefold(), "")


def _parse_values(number: str) -> frozenset[str]:
    """Return what a number can mean: "1.234" is 1234 in German, 1.234 in English."""
    return frozenset(_iter_values(re.sub(r"[ '\u2019]", "", number)))


def _iter_values(number: str) -> Iterator[str]:
    if _thousands.fullmatch(number):
        yield _canonical(re.sub("[.,]", "", number))
    last = max(number.rfind("."), number.rfind(","))
    whole, fraction = (number[:last], number[last + 1 :]) if last >= 0 else (number, "")
    if not re.search("[.,]", whole) or _thousands.fullmatch(whole):
        yield _canonical(re.sub("[.,]", "", whole), fraction)
    else:  # a version or a date
        yield number


def _canonical(whole: str, fraction: str = "") -> str:
    digits = "".join(str(unicodedata.digit(digit)) for digit in whole).lstrip("0") or "0"
    fraction = "".join(str(unicodedata.digit(digit)) for digit in fraction).rstrip("0")
    return f"{digits}.{fraction}" if fraction else digits


def _squash(text: str) -> str:
    return _separators.sub("", text).casefold()
