"""The words of a query as tsqueries, each with its weight."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from math import log

from catalog.query_parser import QueryWord, to_phrase
from catalog.vocabulary import Word, WordStats

# Shorter words are parts of too many others.
MIN_PART_CHARS = 4
# If at least this share of a stem's products has the typed word, the others are not told apart.
MIN_STEM_SHARE = 0.9

# British and American spellings that the stemmer keeps apart.
VARIANTS = {
    "grey": "gray",
    "colour": "color",
    "centre": "center",
    "fibre": "fiber",
    "metre": "meter",
    "aluminium": "aluminum",
    "moulding": "molding",
    "jewellery": "jewelry",
}
VARIANTS |= {american: british for british, american in VARIANTS.items()}

_LEXEME = re.compile(r"('(?:[^']|'')*'):?(\*?)")
_ENDING = re.compile(r"(ies|y|es|e|(?<!s)s|ing|ed|ers?)$")
# Each lexeme that is the last of a phrase or stands alone; PostgreSQL encloses it in brackets.
_LAST_LEXEME = re.compile(r"('(?:[^']|'')*')(?=\))")


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the query, with its statistics from the vocabulary.

    typed: a tsquery for the word as typed; `lexemes` also matches its variants.
    product_count: how many of all `total_products` products have the word.
    inflections: its inflections, if products also have other words with the same stem.
    """

    word: str
    typed: str
    lexemes: str
    product_count: int
    total_products: int
    inflections: tuple[str, ...] = ()

    @property
    def max_products(self) -> int:
        """Return how many products may have it; an unknown word may be a part of every SKU."""
        return self.product_count or self.total_products

    @property
    def weight(self) -> float:
        """Return its inverse document frequency; an unknown word is as rare as the rarest."""
        return log(1 + (self.total_products + 1) / (self.product_count + 1))

    @property
    def in_name(self) -> str:
        """Return a tsquery for products that have it in their name (weight A)."""
        return _LEXEME.sub(r"\1:\2A", self.lexemes)

    @property
    def inflection_pattern(self) -> str:
        """Return a regular expression that tells it from others of its stem, or nothing.

        The stem of both "university" and "universal" is "univers".
        """
        return rf"\m({'|'.join(self.inflections)})\M" if self.inflections else ""

    def as_prefix(self) -> "Term":
        """Return a term for all words that begin with this one."""
        return replace(self, lexemes=_LAST_LEXEME.sub(r"\1:*", self.lexemes))


def to_terms(queries: Iterable[list[QueryWord]]) -> list[list[Term]]:
    """Return for each query a term for each word that PostgreSQL can search for."""
    queries = list(queries)
    variants = [_all_variants(words) for words in queries]
    forms = {form for group in variants for form in chain.from_iterable(group.values())}
    for word in chain.from_iterable(queries):
        forms |= {word.text, *filter(None, [word.joined]), *word.parts}
    stats = Word.objects.look_up({form: to_phrase(form) for form in forms})
    terms = [
        [_to_term(word, stats, group[word.text]) for word in words]
        for words, group in zip(queries, variants, strict=True)
    ]
    compounds = _look_up_compounds(chain.from_iterable(terms))
    return [
        [_widen(term, compounds.get(term.word, [])) for term in group if term.lexemes]
        for group in terms
    ]


def _look_up_compounds(terms: Iterable[Term]) -> dict[str, list[WordStats]]:
    """Return the words that each unknown word is a part of: "Winterreifen" for "Reifen"."""
    parts = {
        term.word
        for term in terms
        if not term.product_count and term.word.isalpha() and len(term.word) >= MIN_PART_CHARS
    }
    return Word.objects.look_up_compounds(list(parts)) if parts else {}


def _widen(term: Term, compounds: list[WordStats]) -> Term:
    if not compounds:
        return term
    return replace(
        term,
        lexemes=join_any([term.lexemes, *(compound.lexemes for compound in compounds)]),
        product_count=sum(compound.product_count for compound in compounds),
    )


def _all_variants(words: list[QueryWord]) -> dict[str, tuple[str, ...]]:
    """Return other forms of each word, among them "headphones" for both of "head phones"."""
    variants = {word.text: _variants(word.text) for word in words}
    for word in words:
        variants[word.text] += (word.joined,) if word.joined else ()
    for left, right in pairwise(words):
        if left.compact and right.compact:
            variants[left.text] += (left.compact + right.compact,)
            variants[right.text] += (left.compact + right.compact,)
    if all(word.compact[-1:].isdigit() for word in words):
        code = "".join(word.compact for word in words)
        variants = {text: (*others, code) for text, others in variants.items()}
    return variants


def _to_term(word: QueryWord, stats: dict[str, WordStats], variants: tuple[str, ...]) -> Term:
    own = _code_stats(word, stats) if word.parts else stats[word.text]
    # The joined form of a code may only be in a SKU, whose words are not counted.
    whole = [stats[word.joined]] if word.parts and word.joined else []
    others = (stats[form] for form in variants if stats[form].product_count)
    forms = list(dict.fromkeys([own, *whole, *others]))
    lexemes = join_any(form.lexemes for form in forms if form.lexemes)
    return Term(
        word.text,
        own.lexemes or lexemes,
        lexemes,
        sum(form.product_count for form in forms),
        own.total_products,
        _inflections(word.text, own.words),
    )


def _inflections(word: str, same_stem: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    """Return the inflections of a word if many products have another word with the same stem."""
    ending_removed = _ENDING.sub("", word)
    counts = {w: count for w, count in same_stem if _ENDING.sub("", w) == ending_removed}
    is_clear = sum(counts.values()) >= MIN_STEM_SHARE * sum(count for _, count in same_stem)
    return () if is_clear else tuple(sorted(counts))


def _code_stats(word: QueryWord, stats: dict[str, WordStats]) -> WordStats:
    """Return the statistics of a code by its parts; "C++" is only searched for as a whole."""
    parts = [stats[part] for part in word.parts]
    operator = " <-> " if word.is_phrase else " & "
    return WordStats(
        operator.join(part.lexemes for part in parts if part.lexemes) if len(parts) > 1 else "",
        min(part.product_count for part in parts) if len(parts) > 1 else 0,
        parts[0].total_products,
    )


def _variants(word: str) -> tuple[str, ...]:
    """Return the British or American spelling, and plurals like "shelves" for "shelf"."""
    variants = [VARIANTS[word]] if word in VARIANTS else []
    if word.endswith("ves"):
        variants += [word[:-3] + "f", word[:-3] + "fe"]
    elif word.endswith(("f", "fe")):
        variants += [word.removesuffix("e").removesuffix("f") + "ves"]
    return tuple(variants)


def join_all(queries: Iterable[str]) -> str:
    return " & ".join(f"({query})" for query in queries)


def join_any(queries: Iterable[str]) -> str:
    return " | ".join(f"({query})" for query in queries)
