"""The order of a search, made tier by tier and only as far as it is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Expression, F, Q, Value

from catalog.pagination import total_of
from catalog.querysets import ProductQuerySet
from catalog.terms import Term, all_of, any_of, score, some_of

# So many rows of a tier are ranked; it bounds what a search for a common word costs. They are the
# first that the index gives, and a tier is narrow enough for any of its rows to be a good answer.
WINDOW = 500
# So many words, the weightiest, decide where only some of the words are looked for.
COMBINED = 5


@dataclass(frozen=True, slots=True)
class Tier:
    """Rows that come before those of later tiers, and what orders them."""

    condition: Q
    score: Expression


@dataclass(slots=True)
class Ranking:
    """The ids of what matches, best first: tiers in their order, then the rest, newest first.

    A tier with more rows than a window ends the tiers: what follows is ordered by age alone.
    """

    products: ProductQuerySet
    tiers: Iterator[Tier]
    matches: Q
    ids: list[UUID] = field(default_factory=list)
    # Whether `ids` holds all that matches; None while tiers are left.
    complete: bool | None = None

    def page(self, offset: int, limit: int) -> list[UUID]:
        while len(self.ids) < offset + limit and self.complete is None:
            self.advance()
        ids = self.ids[offset : offset + limit]
        if len(ids) == limit or self.complete is not False:
            return ids
        return ids + self._rest(max(0, offset - len(self.ids)), limit - len(ids))

    def total(self) -> tuple[int, bool]:
        if self.complete:
            return len(self.ids), True
        return total_of(self.products.filter(self.matches))

    def advance(self) -> None:
        """Rank one more tier."""
        tier = next(self.tiers, None)
        if tier is None:
            self.complete = True
            return
        rows = self.products.filter(tier.condition).order_by().annotate(score=tier.score)
        window = list(rows.values_list("score", "pk")[:WINDOW])
        seen = set(self.ids)
        self.ids += [pk for _, pk in sorted(window, reverse=True) if pk not in seen]
        if len(window) == WINDOW:
            self.complete = False

    def _rest(self, offset: int, limit: int) -> list[UUID]:
        rows = self.products.filter(self.matches).exclude(pk__in=self.ids).order_by("-pk")
        return list(rows.values_list("pk", flat=True)[offset : offset + limit])


def rank(products: ProductQuerySet, terms: list[Term]) -> Ranking:
    """All words in name and category; all words anywhere; ever fewer of the words."""
    anything = Q(vector=any_of(term.query for term in terms))
    return Ranking(products, _tiers(terms), anything)


def _tiers(terms: list[Term]) -> Iterator[Tier]:
    everything = all_of(term.query for term in terms)
    yield Tier(Q(heading=everything), score(terms, "heading"))
    by_all = score(terms, "vector")
    yield Tier(Q(vector=everything), by_all)
    weighty = sorted(terms, key=lambda term: -term.weight)[:COMBINED]
    for number in range(min(len(terms) - 1, COMBINED), 1, -1):
        yield Tier(Q(vector=some_of(weighty, number)), by_all)
    if len(terms) > 1:
        yield Tier(Q(heading=any_of(term.query for term in terms)), by_all)
        yield Tier(Q(vector=any_of(term.query for term in terms)), by_all)


def rank_named(products: ProductQuerySet, text: str) -> Ranking:
    """Products whose name holds the text as it is, within words too."""
    part = Q(name__icontains=text)
    return Ranking(products, iter([Tier(part, _same())]), part)


def rank_sku(products: ProductQuerySet, text: str) -> Ranking:
    """The products with this very SKU: one for each company."""
    exact = Q(sku__iexact=text) & ~Q(sku="")
    return Ranking(products, iter([Tier(exact, _same())]), exact)


def _same() -> Expression:
    return Value(0.0)
