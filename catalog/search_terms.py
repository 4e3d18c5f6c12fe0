"""The words of a query as conditions on the stored vectors, each with its weight."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations, pairwise
from math import log
from operator import add
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import Case, Expression, Value, When
from django.db.models.functions import Greatest, Length

from catalog.query_parser import Words, phrase_of
from catalog.vocabulary import Known, Word

# What it is worth that a word is in the name, in the category, or in description or SKU alone.
IN_NAME, IN_CATEGORY, ELSEWHERE = 1.0, 0.8, 0.5
# The noun is what is wanted; a thing that has it elsewhere only goes with one.
NOUN_ELSEWHERE = 0.1
# How much more a word counts that is the noun in name or category, and where these say no more.
AS_NOUN, BREVITY = 0.5, 0.3
# How much more a word counts that names categories, and the last before "with" and the like.
TYPE, LAST = 1.5, 1.0
# A word with this share of its products in a category of the same name is of a type of product.
TYPICAL = 0.25

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


_LEXEME = re.compile(r"('(?:[^']|'')*'):?(\*?)")


class Lexemes(SearchQuery):
    """A query of stored words, written as PostgreSQL writes it: nothing is parsed once more."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        return "%s::tsquery", [self.text]


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the query as PostgreSQL looks for it, and how much it says."""

    word: str
    lexemes: str
    products: int
    # The share of its products that have it in their category.
    typical: float
    of: int
    is_last: bool = False

    @property
    def is_typical(self) -> bool:
        """Whether it is known to name a kind of product."""
        return self.typical >= TYPICAL

    @property
    def is_noun(self) -> bool:
        """Whether it says what is wanted, as "desk" does in "oak desk", and not how it is."""
        return self.is_last or self.is_typical

    @property
    def most(self) -> int:
        """How many products have it at most; what no text has may be a part of every SKU."""
        return self.products or self.of

    @property
    def weight(self) -> float:
        """Rare words say more; unknown ones as much as the rarest."""
        rarity = 1 + log(1 + self.of / (1 + self.products))
        return rarity * (1 + TYPE * self.typical + LAST * self.is_last)

    def completed(self) -> "Term":
        """Any word that begins like this one."""
        return replace(self, lexemes=_LEXEME.sub(r"\1:*", self.lexemes))

    def within(self, weights: str) -> Lexemes:
        """This word where the stored words have one of the weights."""
        return Lexemes(_LEXEME.sub(rf"\1:\2{weights}", self.lexemes))


def terms_of(words: Words) -> list[Term]:
    """A term for each word that can be looked for."""
    others = {word: _variants(word) for word in words.wanted}
    for left, right in pairwise(words.wanted):
        others[left] += (left + right,)
        others[right] += (left + right,)
    forms = {*words.wanted, *(form for more in others.values() for form in more)}
    known = Word.objects.look_up({form: phrase_of(form) for form in forms})
    terms = [_term(word, known, others[word]) for word in words.wanted if known[word].lexemes]
    return [replace(term, is_last=term.word == words.noun[-1]) for term in terms]


def _term(word: str, known: dict[str, Known], others: tuple[str, ...]) -> Term:
    forms = [known[word], *(known[form] for form in others if known[form].products)]
    products = sum(form.products for form in forms)
    typical = sum(form.categories for form in forms) / (products or 1)
    return Term(word, either(form.lexemes for form in forms), products, typical, forms[0].of)


def _variants(word: str) -> tuple[str, ...]:
    """British and American spelling, and plurals like shelf and shelves."""
    variants = [VARIANTS[word]] if word in VARIANTS else []
    if word.endswith("ves"):
        variants += [word[:-3] + "f", word[:-3] + "fe"]
    elif word.endswith(("f", "fe")):
        variants += [word.removesuffix("e").removesuffix("f") + "ves"]
    return tuple(variants)


def both(queries: Iterable[str]) -> str:
    return " & ".join(f"({query})" for query in queries)


def either(queries: Iterable[str]) -> str:
    return " | ".join(f"({query})" for query in queries)


def all_of(terms: Iterable[Term]) -> Lexemes:
    return Lexemes(both(term.lexemes for term in terms))


def any_of(terms: Iterable[Term]) -> Lexemes:
    return Lexemes(either(term.lexemes for term in terms))


def some_of(terms: list[Term], number: int) -> Lexemes:
    """Any `number` of the terms together."""
    groups = combinations([term.lexemes for term in terms], number)
    return Lexemes(either(both(group) for group in groups))


def score(terms: list[Term]) -> Expression:
    """How much of what is wanted a product says it is."""
    return reduce(add, [_worth(term) for term in terms] + _as_noun(terms))


def _worth(term: Term) -> Expression:
    elsewhere = NOUN_ELSEWHERE if term.is_noun else ELSEWHERE
    return Case(
        When(heading=term.within("AB"), then=Value(IN_NAME * term.weight)),
        When(heading=term.within("CD"), then=Value(IN_CATEGORY * term.weight)),
        # Read last, as it may be long and then is not in the row itself.
        When(vector=Lexemes(term.lexemes), then=Value(elsewhere * term.weight)),
        default=Value(0.0),
    )


def _as_noun(terms: list[Term]) -> list[Expression]:
    parts: list[Expression] = []
    for term in (term for term in terms if term.is_noun):
        for weight, column in (("A", "name"), ("D", "category")):
            brevity = Value(BREVITY * len(term.word)) / Greatest(Length(column), len(term.word))
            worth = Value(term.weight) * (Value(AS_NOUN) + brevity)
            parts.append(Case(When(heading=term.within(weight), then=worth), default=Value(0.0)))
    return parts
