"""The words of a query as conditions on the stored vectors, each with its weight."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, pairwise
from math import log
from operator import and_, or_

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import Expression, F, Value

from catalog.query_words import phrase_of
from catalog.vectors import CONFIG
from catalog.vocabulary import Word

# What a word's occurrence is worth in the SKU, description, category and name (D, C, B, A).
FIELD_WEIGHTS = [0.1, 0.2, 0.8, 1.0]

# The same word for a reader, but not for the stemmer.
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


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the query, other forms that are as good, and how much it says."""

    word: str
    others: tuple[str, ...] = ()
    weight: float = 1.0

    @property
    def query(self) -> SearchQuery:
        return any_of(_lexemes(form) for form in (self.word, *self.others))


def terms_of(words: tuple[str, ...]) -> list[Term]:
    """A term for each word. Rare words say more; unknown ones as much as the rarest."""
    others = {word: _variants(word) for word in words}
    for left, right in pairwise(words):
        others[left] += (left + right,)
        others[right] += (left + right,)
    forms = {*words, *(form for more in others.values() for form in more)}
    known, products = Word.objects.frequencies(forms)
    return [
        Term(
            word,
            tuple(form for form in others[word] if form in known),
            _weight(known.get(word, 0), products),
        )
        for word in words
    ]


def _variants(word: str) -> tuple[str, ...]:
    """British and American spelling, and plurals like shelf and shelves."""
    variants = [VARIANTS[word]] if word in VARIANTS else []
    if word.endswith("ves"):
        variants += [word[:-3] + "f", word[:-3] + "fe"]
    elif word.endswith(("f", "fe")):
        variants += [word.removesuffix("e").removesuffix("f") + "ves"]
    return tuple(variants)


def _weight(frequency: int, products: int) -> float:
    """The inverse document frequency, dampened so that no single word decides alone."""
    return 1 + log(1 + products / (1 + frequency))


def _lexemes(form: str) -> SearchQuery:
    return SearchQuery(phrase_of(form), config=CONFIG, search_type="phrase")


def prefix(word: str) -> SearchQuery:
    """Words that begin so. The word holds letters and digits alone, so quotes can't be left."""
    return SearchQuery(f"'{word}':*", config=CONFIG, search_type="raw")


def all_of(queries: Iterable[SearchQuery]) -> SearchQuery:
    return reduce(and_, queries)


def any_of(queries: Iterable[SearchQuery]) -> SearchQuery:
    return reduce(or_, queries)


def some_of(terms: list[Term], number: int) -> SearchQuery:
    """Any `number` of the terms together."""
    return any_of(all_of(term.query for term in some) for some in combinations(terms, number))


def score(terms: list[Term], vector: str) -> Expression:
    """How much of what was asked for is said where it counts."""
    weights = Value(FIELD_WEIGHTS)
    parts = [
        Value(term.weight) * SearchRank(F(vector), term.query, weights=weights) for term in terms
    ]
    return reduce(lambda left, right: left + right, parts)
