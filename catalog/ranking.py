"""The order of a search, made tier by tier and only as far as it is asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Expression, Q, Value

from catalog.models import SAMPLE
from catalog.pagination import COUNTED_OF_MANY, MANY, estimate, total_of
from catalog.querysets import ProductQuerySet
from catalog.search_terms import Lexemes, Term, all_of, any_of, score, some_of

# So many rows of a tier are ranked; it bounds what a search for a common word costs. They are the
# first that the index gives, and a tier is narrow enough for any of its rows to be a good answer.
WINDOW = 500
# So many words, the weightiest, decide where only some of the words are looked for.
COMBINED = 6
# Where more than so many rows may match, those of the sample are ranked, if it has enough.
COMMON = 20_000
ENOUGH = 40
LONGEST_SKU = 64


@dataclass(frozen=True, slots=True)
class Tier:
    """Rows that come before those of later tiers, what orders them, and how many at most there
    are, as far as one knows."""

    condition: Q
    score: Expression
    most: int


@dataclass(slots=True)
class Ranking:
    """The ids of what matches, best first: tiers in their order, then the rest, newest first.

    A tier with more rows than a window ends the tiers: what follows is ordered by age alone.
    """

    products: ProductQuerySet
    tiers: Iterator[Tier]
    matches: Q
    ids: list[UUID] = field(default_factory=list)
    # Whether there are so many products that counting all would take too long.
    many: bool = False
    # Whether `ids` holds all that matches; None while tiers are left.
    complete: bool | None = None

    def page(self, offset: int, limit: int) -> list[UUID]:
        while len(self.ids) < offset + limit and self.complete is None:
            self.advance()
        ids = self.ids[offset : offset + limit]
        if len(ids) == limit or self.complete is not False:
            return ids
        return ids + self._rest(max(0, offset - len(self.ids)), limit - len(ids))

    def finds(self) -> bool:
        """Whether anything matches; ranks as much as it takes to know."""
        while not self.ids and self.complete is None:
            self.advance()
        return bool(self.ids)

    def total(self) -> tuple[int, bool]:
        """How many match, and whether that is exact or, where they are very many, an estimate."""
        if self.complete:
            return len(self.ids), True
        matches = self.products.filter(self.matches)
        if not self.many:
            return total_of(matches)
        # Where a word is common, even to collect its rows takes far longer than to ask for ten.
        expected = estimate(matches)
        if expected > COMMON:
            return expected, False
        counted = matches.order_by()[: COUNTED_OF_MANY + 1].count()
        return max(counted, expected * (counted > COUNTED_OF_MANY)), counted <= COUNTED_OF_MANY

    def advance(self) -> None:
        """Rank one more tier."""
        tier = next(self.tiers, None)
        if tier is None:
            self.complete = True
            return
        window, self.complete = self._window(tier)
        seen = set(self.ids)
        self.ids += [pk for _, pk in sorted(window, reverse=True) if pk not in seen]

    def _window(self, tier: Tier) -> tuple[list[tuple[float, UUID]], bool | None]:
        """Rows of a tier with their scores, and False where there are more of them."""
        scored = self.products.filter(tier.condition).order_by().annotate(score=tier.score)
        rows = scored.values_list("score", "pk")
        if self.many and tier.most > COMMON:
            sample = list(rows.filter(SAMPLE)[:WINDOW])
            if len(sample) >= ENOUGH:
                return sample, False
        window = list(rows[:WINDOW])
        return window, False if len(window) == WINDOW else None

    def _rest(self, offset: int, limit: int) -> list[UUID]:
        rows = self.products.filter(self.matches).exclude(pk__in=self.ids).order_by("-pk")
        return list(rows.values_list("pk", flat=True)[offset : offset + limit])


def rank(products: ProductQuerySet, terms: list[Term]) -> Ranking:
    """What has any of the words: first all in name and category, then less and less."""
    many = terms[0].of > MANY
    return Ranking(products, _tiers(terms), Q(vector=any_of(terms)), many=many)


def _tiers(terms: list[Term]) -> Iterator[Tier]:
    """From what says all that was asked for to what mentions a bit of it.

    Rows that have all the words, but the noun in passing, are no better than those that lack a
    word, if the noun is a kind of product: who looks for a pine desk is not helped by a pine
    shelf that "goes well with your desk".
    """
    best = score(terms)
    fewest, most = min(t.most for t in terms), sum(t.most for t in terms)
    yield Tier(Q(heading=all_of(terms)), best, fewest)
    noun = Q(heading=any_of(term for term in terms if term.is_noun))
    weighty = sorted(terms, key=lambda term: (term.is_noun, term.weight))[-COMBINED:]
    words = len(weighty)
    in_passing = max(1, words - 1) if any(term.is_typical for term in terms) else words
    for number in range(words, 0, -1):
        yield Tier(noun & Q(vector=some_of(weighty, number)), best, most)
        if number == in_passing:
            yield Tier(Q(vector=all_of(terms)), best, fewest)
    yield Tier(Q(heading=any_of(terms)), best, most)
    yield Tier(Q(vector=any_of(terms)), best, most)


def rank_all(products: ProductQuerySet, terms: list[Term], first: Iterable[UUID]) -> Ranking:
    """What has all of the words, after `first`."""
    every = Q(vector=all_of(terms))
    tier = Tier(every, score(terms), min(term.most for term in terms))
    return Ranking(products, iter([tier]), every, list(first), many=terms[0].of > MANY)


def rank_named(products: ProductQuerySet, text: str) -> Ranking:
    """Products whose name holds the text as it is, within words too."""
    part = Q(name__icontains=text)
    return Ranking(products, iter([Tier(part, _same(), WINDOW)]), part)


def rank_sku(products: ProductQuerySet, text: str) -> Ranking:
    """The products with this very SKU: one for each company."""
    exact = Q(sku__iexact=text[: LONGEST_SKU + 1]) & ~Q(sku="")
    return Ranking(products, iter([Tier(exact, _same(), WINDOW)]), exact)


def occurs(products: ProductQuerySet, query: Lexemes) -> bool:
    """Whether any product matches; where many do, the sample knows it soonest."""
    matches = products.filter(vector=query).order_by().values_list("pk")
    return bool(matches.filter(SAMPLE)[:1].union(matches[:1], all=True)[:1])


def _same() -> Expression:
    return Value(0.0)
