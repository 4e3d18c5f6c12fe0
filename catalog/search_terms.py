"""The words of a query as conditions on the search vectors, each with its weight."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain, combinations, pairwise
from math import log
from operator import add
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import Case, Expression, Q, Value, When
from django.db.models.functions import Greatest, Length

from catalog.query_parser import ParsedQuery, QueryWord, to_phrase
from catalog.vocabulary import Word, WordStats

# The factors of a term's weight where a product has it in its name, in its category, or only in
# its description or SKU.
NAME_FACTOR, CATEGORY_FACTOR, ELSEWHERE_FACTOR = 1.0, 0.8, 0.5
# The same for the noun of the query: such a product is usually an accessory of what is wanted.
NOUN_ELSEWHERE_FACTOR = 0.1
# The factor where the product has another word with the same stem.
OTHER_WORD_FACTOR = 0.5
# Added where the term is also the noun of the name or category, and more if these are short.
NOUN_BONUS, BREVITY_BONUS = 0.5, 0.3
# Added to the weight of a word that names categories, and of the last one before "with" or "for".
PRODUCT_TYPE_BONUS, LAST_WORD_BONUS = 1.5, 1.0
# A word names a type of product if this share of its products has it in the category.
MIN_PRODUCT_TYPE_SHARE = 0.25
# Shorter words are parts of too many others.
MIN_PART_CHARS = 4

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


class LexemeQuery(SearchQuery):
    """A tsquery in PostgreSQL's own notation, which is not parsed again."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        return "%s::tsquery", [self.text]


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the query, with its statistics from the vocabulary.

    lexemes: a tsquery for the word and its variants.
    product_count: how many of all `total_products` products have the word.
    category_share: the share of these that have it in their category (0 to 1).
    inflections: its inflections, if products also have other words with the same stem.
    """

    word: str
    lexemes: str
    product_count: int
    category_share: float
    total_products: int
    is_last: bool = False
    inflections: tuple[str, ...] = ()

    @property
    def is_product_type(self) -> bool:
        return self.category_share >= MIN_PRODUCT_TYPE_SHARE

    @property
    def is_noun(self) -> bool:
        """Whether it names the product, like "desk" in "oak desk", instead of describing it."""
        return self.is_last or self.is_product_type

    @property
    def max_products(self) -> int:
        """Return how many products may have it; an unknown word may be a part of every SKU."""
        return self.product_count or self.total_products

    @property
    def weight(self) -> float:
        """Return its weight: rare words weigh more, unknown ones as much as the rarest."""
        rarity = 1 + log(1 + self.total_products / (1 + self.product_count))
        bonus = PRODUCT_TYPE_BONUS * self.category_share + LAST_WORD_BONUS * self.is_last
        return rarity * (1 + bonus)

    def as_prefix(self) -> "Term":
        """Return a term for all words that begin with this one."""
        return replace(self, lexemes=_LAST_LEXEME.sub(r"\1:*", self.lexemes))

    def with_weights(self, weights: str) -> LexemeQuery:
        """Return a query for this word where the vector has one of the weights."""
        return LexemeQuery(_LEXEME.sub(rf"\1:\2{weights}", self.lexemes))


def to_terms(query: ParsedQuery) -> list[Term]:
    """Return a term for each word that PostgreSQL can search for."""
    variants = _all_variants(query.words)
    forms = {*chain.from_iterable(variants.values())}
    for word in query.words:
        forms |= {word.text, *filter(None, [word.joined]), *word.parts}
    stats = Word.objects.look_up({form: to_phrase(form) for form in forms})
    terms = [_to_term(word, stats, variants[word.text]) for word in query.words]
    return [
        replace(term, is_last=term.word == query.noun_phrase[-1])
        for term in _with_compounds(terms)
        if term.lexemes
    ]


def _with_compounds(terms: list[Term]) -> list[Term]:
    """Let each unknown word match the words that it is a part of: "Reifen" a "Winterreifen"."""
    parts = [
        term.word
        for term in terms
        if not term.product_count and term.word.isalpha() and len(term.word) >= MIN_PART_CHARS
    ]
    compounds = Word.objects.look_up_compounds(parts) if parts else {}
    return [_widen(term, compounds.get(term.word, [])) for term in terms]


def _widen(term: Term, compounds: list[WordStats]) -> Term:
    if not compounds:
        return term
    products = sum(compound.product_count for compound in compounds)
    return replace(
        term,
        lexemes=join_any([term.lexemes, *(compound.lexemes for compound in compounds)]),
        product_count=products,
        category_share=sum(compound.category_count for compound in compounds) / products,
    )


def _all_variants(words: tuple[QueryWord, ...]) -> dict[str, tuple[str, ...]]:
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
    products = sum(form.product_count for form in forms)
    category_share = sum(form.category_count for form in forms) / (products or 1)
    lexemes = join_any(form.lexemes for form in forms if form.lexemes)
    term = Term(word.text, lexemes, products, category_share, own.total_products)
    return replace(term, inflections=_inflections(word.text, own.words))


def _inflections(word: str, same_stem: frozenset[str]) -> tuple[str, ...]:
    """Return the inflections of a word, if the stemmer also takes other words for some."""
    ending_removed = _ENDING.sub("", word)
    inflections = {other for other in same_stem if _ENDING.sub("", other) == ending_removed}
    return tuple(sorted(inflections)) if inflections < same_stem else ()


def _code_stats(word: QueryWord, stats: dict[str, WordStats]) -> WordStats:
    """Return the statistics of a code by its parts; "C++" is only searched for as a whole."""
    parts = [stats[part] for part in word.parts]
    operator = " <-> " if word.is_phrase else " & "
    return WordStats(
        operator.join(part.lexemes for part in parts if part.lexemes) if len(parts) > 1 else "",
        min(part.product_count for part in parts) if len(parts) > 1 else 0,
        min(part.category_count for part in parts) if len(parts) > 1 else 0,
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


def all_of(terms: Iterable[Term]) -> LexemeQuery:
    return LexemeQuery(join_all(term.lexemes for term in terms))


def any_of(terms: Iterable[Term]) -> LexemeQuery:
    return LexemeQuery(join_any(term.lexemes for term in terms))


def some_of(terms: list[Term], number: int) -> LexemeQuery:
    """Return a query for any `number` of the terms together."""
    groups = combinations([term.lexemes for term in terms], number)
    return LexemeQuery(join_any(join_all(group) for group in groups))


def score(terms: list[Term]) -> Expression:
    """Return an expression for how well a product matches the terms."""
    return reduce(add, [_score(term) for term in terms])


def _score(term: Term) -> Expression:
    total = reduce(add, [_term_score(term), *_noun_scores(term)])
    return total * _exactness(term) if term.inflections else total


def _exactness(term: Term) -> Expression:
    """Return a factor for products that have only another word with the same stem.

    The stem of both "university" and "universal" is "univers".
    """
    pattern = rf"\m({'|'.join(term.inflections)})\M"
    is_exact = Q(name__iregex=pattern) | Q(category__iregex=pattern)
    return Case(When(is_exact, then=Value(1.0)), default=Value(OTHER_WORD_FACTOR))


def _term_score(term: Term) -> Expression:
    elsewhere = NOUN_ELSEWHERE_FACTOR if term.is_noun else ELSEWHERE_FACTOR
    return Case(
        When(heading_vector=term.with_weights("AB"), then=Value(NAME_FACTOR * term.weight)),
        When(heading_vector=term.with_weights("CD"), then=Value(CATEGORY_FACTOR * term.weight)),
        # Read last: a long vector is stored outside the row.
        When(search_vector=LexemeQuery(term.lexemes), then=Value(elsewhere * term.weight)),
        default=Value(0.0),
    )


def _noun_scores(term: Term) -> list[Expression]:
    if not term.is_noun:
        return []
    scores: list[Expression] = []
    chars = len(term.word)
    for weight, column in (("A", "name"), ("D", "category")):
        brevity = Value(BREVITY_BONUS * chars) / Greatest(Length(column), chars)
        bonus = Value(term.weight) * (Value(NOUN_BONUS) + brevity)
        is_noun = When(heading_vector=term.with_weights(weight), then=bonus)
        scores.append(Case(is_noun, default=Value(0.0)))
    return scores
