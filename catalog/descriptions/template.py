"""Write a description from a template, without a model.

A template says only that the product is in its category, and then what the product's present
description says: first the sentences, then the details with numbers, under a label that depends on
the kind of category.
"""

import re
from dataclasses import dataclass
from itertools import chain

from catalog.descriptions.facts import ProductFacts
from common.ai.text.sentences import split_sentences

MODEL = "bureau-template-1"
MAX_CHARS = 20_000  # of the column
MAX_SENTENCE_WORDS = MAX_CHARS  # no sentence is cut
_path_separator = re.compile(r"\s*[>/|]\s*")

# The words with which the name of a category of this kind ends, in English and German.
CATEGORY_WORDS = {
    "furniture": (
        "furniture desk table chair sofa bed shelf cabinet möbel tisch tische stuhl stühle "
        "bett betten regal regale"
    ),
    "lighting": "lighting lamp light leuchte leuchten lampe lampen beleuchtung licht",
    "electronics": (
        "electronics computer laptop monitor keyboard phone camera adapter cable sensor machine "
        "elektronik rechner bildschirm tastatur telefon kamera kabel maschine"
    ),
    "clothing": "clothing apparel shirt shoe jacket dress kleidung hemd schuh jacke bekleidung",
    "food": "food drink grocery beverage lebensmittel getränk",
}
LABELS = {
    "en": {
        "furniture": "Materials and measures",
        "lighting": "Light and measures",
        "electronics": "Technical data",
        "clothing": "Material and size",
        "food": "Contents",
        "": "Details",
    },
    "de": {
        "furniture": "Material und Maße",
        "lighting": "Licht und Maße",
        "electronics": "Technische Daten",
        "clothing": "Material und Größe",
        "food": "Inhalt",
        "": "Einzelheiten",
    },
}


@dataclass(frozen=True, slots=True)
class Phrases:
    """The fixed parts of a description in one language."""

    range: str
    sku: str


PHRASES = {
    "en": Phrases("{name} from our range “{category}”.", "Article number: {sku}."),
    "de": Phrases("{name} aus unserem Sortiment „{category}“.", "Artikelnummer: {sku}."),
}


def write_description(facts: ProductFacts) -> str:
    """Return a description made of the facts; the same facts and description give the same."""
    language = _choose_language(facts)
    phrases, labels = PHRASES[language], LABELS[language]
    category = _path_separator.split(facts.category.strip())[-1]
    opening = _write_opening(facts.name, category, phrases)
    number = phrases.sku.format(sku=facts.sku) if facts.sku else ""
    sentences = _split_facts(facts.description, without=(opening, number))
    plain = [text for text in sentences if not _has_digit(text)]
    details = [text for text in sentences if _has_digit(text)]
    label = f"{labels[_find_kind(category)]}: " if details else ""
    paragraphs = [" ".join(filter(None, [opening, *plain])), f"{label}{' '.join(details)}", number]
    text = "\n\n".join(filter(None, paragraphs))
    return text if len(text) <= MAX_CHARS else facts.description


def _write_opening(name: str, category: str, phrases: Phrases) -> str:
    if name and category:
        return phrases.range.format(name=name, category=category)
    return f"{name or category}." if name or category else ""


def _choose_language(facts: ProductFacts) -> str:
    text = f"{facts.name} {facts.category} {facts.description}"
    return "de" if facts.language == "de" or "ß" in text else "en"


def _find_kind(category: str) -> str:
    """Return the kind of a category by the end of its name: "Desk lamps" are lighting."""
    end = category.casefold().removesuffix("s")
    for kind, words in CATEGORY_WORDS.items():
        if end.endswith(tuple(word.removesuffix("s") for word in words.split())):
            return kind
    return ""


def _split_facts(description: str, *, without: tuple[str, ...]) -> list[str]:
    """Return the sentences of a description, without what an earlier template has added."""
    for part in filter(None, without):
        description = description.replace(part, "")
    for label in chain.from_iterable(labels.values() for labels in LABELS.values()):
        description = re.sub(rf"^{label}: ", "", description, flags=re.MULTILINE)
    # Line by line: from a whole text, `split_sentences` drops titles.
    return [
        _end_sentence(sentence.text)
        for line in description.split("\n")
        for sentence in split_sentences(line, max_words=MAX_SENTENCE_WORDS)
    ]


def _end_sentence(text: str) -> str:
    return text if text[-1] in ".!?…:;。！？" else f"{text}."


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
