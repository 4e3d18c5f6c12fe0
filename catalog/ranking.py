"""The order of search results, computed tier by tier and only as far as a page needs it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Case, Expression, Q, Value, When
from django.db.models.lookups import Exact

from catalog.models import SEARCH_SAMPLE
from catalog.querysets import ProductQuerySet
from catalog.row_counts import (
    LARGE_TABLE_ROWS,
    MAX_COUNTED_ROWS_IN_LARGE_TABLE,
    count_or_estimate,
    estimate_count,
)
from catalog.search_terms import LexemeQuery, Term, all_of, any_of, score, some_of
from catalog.search_vectors import SkuCode

# The most rows of a tier that are ranked: the first that the index returns. This limits the cost of
# a search for a common word. All rows of a tier match well enough to be good results.
MAX_RANKED_ROWS = 500
# Where only some of the words must match, only this many words count: those of the most weight.
MAX_COMBINED_TERMS = 6
# If more rows may match, only the search sample is ranked, provided that it has enough rows.
MAX_ROWS_WITHOUT_SAMPLE = 20_000
MIN_SAMPLE_ROWS = 40
MAX_SKU_CHARS = 64


@dataclass(frozen=True, slots=True)
class Tier:
    """Rows that come before those of later tiers.

    score: orders the rows.
    max_rows: an upper bound of their number.
    """

    condition: Q
    score: Expression
    max_rows: int


@dataclass(slots=True)
class Ranking:
    """The ids of the matches, best first: tiers in their order, then the rest, newest first.

    A tier with more rows than are ranked is the last: all further matches are ordered by age.
    """

    products: ProductQuerySet
    tiers: Iterator[Tier]
    matches: Q
    ids: list[UUID] = field(default_factory=list)
    # Whether the table is so large that counting all matches would take too long.
    is_large: bool = False
    # Whether `ids` contains all matches; None while there are tiers to rank.
    is_complete: bool | None = None

    def page(self, offset: int, limit: int) -> list[UUID]:
        while len(self.ids) < offset + limit and self.is_complete is None:
            self.rank_next_tier()
        ids = self.ids[offset : offset + limit]
        if len(ids) == limit or self.is_complete is not False:
            return ids
        return ids + self._unranked(max(0, offset - len(self.ids)), limit - len(ids))

    def has_matches(self) -> bool:
        """Whether any product matches; ranks tiers until one has a row."""
        while not self.ids and self.is_complete is None:
            self.rank_next_tier()
        return bool(self.ids)

    def total(self) -> tuple[int, bool]:
        """Return how many products match, and whether that is exact or an estimate."""
        if self.is_complete:
            return len(self.ids), True
        matches = self.products.filter(self.matches)
        if not self.is_large:
            return count_or_estimate(matches)
        # Collecting the rows of a common word takes far longer than reading ten of them.
        estimate = estimate_count(matches)
        if estimate > MAX_ROWS_WITHOUT_SAMPLE:
            return estimate, False
        counted = matches.order_by()[: MAX_COUNTED_ROWS_IN_LARGE_TABLE + 1].count()
        if counted <= MAX_COUNTED_ROWS_IN_LARGE_TABLE:
            return counted, True
        return max(counted, estimate), False

    def rank_next_tier(self) -> None:
        tier = next(self.tiers, None)
        if tier is None:
            self.is_complete = True
            return
        rows, self.is_complete = self._scored_rows(tier)
        seen = set(self.ids)
        self.ids += [pk for _, pk in sorted(rows, reverse=True) if pk not in seen]

    def _scored_rows(self, tier: Tier) -> tuple[list[tuple[float, UUID]], bool | None]:
        """Return rows of a tier with their scores, and the new `is_complete`.

        It is False if the tier may have more rows, else None.
        """
        scored = self.products.filter(tier.condition).order_by().annotate(score=tier.score)
        rows = scored.values_list("score", "pk")
        if self.is_large and tier.max_rows > MAX_ROWS_WITHOUT_SAMPLE:
            sample = list(rows.filter(SEARCH_SAMPLE)[:MAX_RANKED_ROWS])
            if len(sample) >= MIN_SAMPLE_ROWS:
                return sample, False
        first_rows = list(rows[:MAX_RANKED_ROWS])
        return first_rows, False if len(first_rows) == MAX_RANKED_ROWS else None

    def _unranked(self, offset: int, limit: int) -> list[UUID]:
        rows = self.products.filter(self.matches).exclude(pk__in=self.ids).order_by("-pk")
        return list(rows.values_list("pk", flat=True)[offset : offset + limit])


def rank(products: ProductQuerySet, terms: list[Term]) -> Ranking:
    """Rank the products with any of the terms: first those with all in name and category."""
    is_large = terms[0].total_products > LARGE_TABLE_ROWS
    return Ranking(products, _tiers(terms), Q(search_vector=any_of(terms)), is_large=is_large)


def _tiers(terms: list[Term]) -> Iterator[Tier]:
    """Yield tiers from rows that match the whole query to rows that match one word of it.

    If the noun is a type of product, rows that have all words but mention the noun only in their
    description rank no higher than rows that lack a word: a search for a pine desk should not
    return a pine shelf that "goes well with your desk" first.
    """
    best = score(terms)
    max_of_all = min(term.max_products for term in terms)
    max_of_any = sum(term.max_products for term in terms)
    yield Tier(Q(heading_vector=all_of(terms)), best, max_of_all)
    noun = Q(heading_vector=any_of(term for term in terms if term.is_noun))
    heaviest = sorted(terms, key=lambda term: (term.is_noun, term.weight))[-MAX_COMBINED_TERMS:]
    words = len(heaviest)
    has_product_type = any(term.is_product_type for term in terms)
    # The tier of rows that have all words, the noun anywhere, follows that of this many words.
    words_before_noun_anywhere = max(1, words - 1) if has_product_type else words
    for number in range(words, 0, -1):
        yield Tier(noun & Q(search_vector=some_of(heaviest, number)), best, max_of_any)
        if number == words_before_noun_anywhere:
            yield Tier(Q(search_vector=all_of(terms)), best, max_of_all)
    yield Tier(Q(heading_vector=any_of(terms)), best, max_of_any)
    yield Tier(Q(search_vector=any_of(terms)), best, max_of_any)


def rank_all(products: ProductQuerySet, terms: list[Term], first: Iterable[UUID]) -> Ranking:
    """Rank the products with all of the terms after the ids `first`."""
    condition = Q(search_vector=all_of(terms))
    tier = Tier(condition, score(terms), min(term.max_products for term in terms))
    is_large = terms[0].total_products > LARGE_TABLE_ROWS
    return Ranking(products, iter([tier]), condition, list(first), is_large=is_large)


def rank_by_name_part(products: ProductQuerySet, text: str) -> Ranking:
    """Rank the products whose name contains the text, within words too."""
    condition = Q(name__icontains=text)
    return Ranking(products, iter([Tier(condition, _equal_score(), MAX_RANKED_ROWS)]), condition)


def rank_by_sku(products: ProductQuerySet, text: str) -> Ranking:
    """Rank the products with this SKU, compared without signs; the same signs come first."""
    text = text[: MAX_SKU_CHARS + 1]
    is_exact = Q(sku__iexact=text)
    condition = is_exact
    if any(char.isalnum() for char in text):
        condition |= Exact(SkuCode("sku"), SkuCode(Value(text)))
    exact_first = Case(When(is_exact, then=Value(1.0)), default=Value(0.0))
    condition &= ~Q(sku="")
    return Ranking(products, iter([Tier(condition, exact_first, MAX_RANKED_ROWS)]), condition)


def has_match(products: ProductQuerySet, query: LexemeQuery) -> bool:
    """Whether any product matches; of many matches the sample finds one fastest."""
    matches = products.filter(search_vector=query).order_by().values_list("pk")
    return bool(matches.filter(SEARCH_SAMPLE)[:1].union(matches[:1], all=True)[:1])


def _equal_score() -> Expression:
    return Value(0.0)
