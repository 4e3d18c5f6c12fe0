"""Where recommendations come from: each source returns products with a reason, the best first.

`seeds` are the products that the recommendations are for, the most important first. `pool` has the
products that may be recommended.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple
from uuid import UUID

from django.db.models import F

from catalog.embeddings import find_serving_model, nearest_products
from catalog.models import CoView, Product
from catalog.querysets import ProductQuerySet

# Each seed counts this much less than the one before.
SEED_DECAY = 0.9
# Finding the neighbours of a vector takes much longer than the other sources.
MAX_NEIGHBOUR_SEEDS = 3
MAX_CATEGORIES = 3
# Of a large category, only the newest products are ordered by popularity.
MAX_CATEGORY_PRODUCTS = 1_000


class Candidate(NamedTuple):
    product_id: UUID
    category: str
    reason: str


def find_candidates(
    seeds: Sequence[Product], pool: ProductQuerySet, limit: int
) -> Iterator[Candidate]:
    """Yield the candidates of all sources, each product once."""
    by_meaning = _find_neighbours(seeds, pool, limit)
    # A new product is viewed by nobody yet, so every third place is for products of like meaning.
    sources = (
        _interleave(_find_co_viewed(seeds, pool), by_meaning),
        _find_in_categories(seeds, pool, limit),
        _find_popular(pool, limit),
        _find_newest(pool, limit),
    )
    found = set()
    for candidate in chain.from_iterable(sources):
        if candidate.product_id not in found:
            found.add(candidate.product_id)
            yield candidate


def _interleave(two: Iterable[Candidate], one: Iterable[Candidate]) -> Iterator[Candidate]:
    """Yield two candidates of the first iterable, then one of the second, and so on."""
    pairs = iter(two)
    rows = zip_longest(pairs, pairs, one)
    return (candidate for row in rows for candidate in row if candidate)


def _find_co_viewed(seeds: Sequence[Product], pool: ProductQuerySet) -> Iterator[Candidate]:
    """Yield what people viewed together with the seeds, by the weighted sum of the scores."""
    weights = {seed.pk: SEED_DECAY**rank for rank, seed in enumerate(seeds)}
    scores: dict[UUID, float] = defaultdict(float)
    strongest: dict[UUID, tuple[float, UUID]] = {}
    rows = CoView.objects.filter(product__in=weights)
    for seed_id, other_id, score in rows.values_list("product", "other", "score"):
        weighted = weights[seed_id] * score
        scores[other_id] += weighted
        strongest[other_id] = max((weighted, seed_id), strongest.get(other_id, (0.0, seed_id)))
    names = {seed.pk: seed.name for seed in seeds}
    ranked = sorted(scores, key=lambda pk: (-scores[pk], pk))
    reasons = {pk: f"Often viewed together with “{names[strongest[pk][1]]}”." for pk in ranked}
    yield from _load(pool, reasons)


def _find_neighbours(
    seeds: Sequence[Product], pool: ProductQuerySet, limit: int
) -> Iterator[Candidate]:
    """Yield the products whose descriptions mean nearly the same as those of the first seeds."""
    model = find_serving_model()
    floor = (model and model.similarity_floor) or 0.0
    for seed in seeds[:MAX_NEIGHBOUR_SEEDS]:
        neighbours = nearest_products(seed, limit=limit, products=pool)
        near = [n.id for n in neighbours if n.similarity >= floor]
        yield from _load(pool, dict.fromkeys(near, f"Similar to “{seed.name}”."))


def _find_in_categories(
    seeds: Sequence[Product], pool: ProductQuerySet, limit: int
) -> Iterator[Candidate]:
    """Yield the most popular products in the categories of the seeds."""
    first_seeds = {seed.category: seed for seed in reversed(seeds) if seed.category}
    for seed in list(reversed(first_seeds.values()))[:MAX_CATEGORIES]:
        newest = pool.filter(category=seed.category).order_by("-id")[:MAX_CATEGORY_PRODUCTS]
        by_popularity = F("popularity__people").desc(nulls_last=True)
        products = Product.objects.filter(pk__in=newest.values("pk")).order_by(by_popularity, "-id")
        reason = f"In the same category as “{seed.name}”."
        yield from _read(products, limit, reason)


def _find_popular(pool: ProductQuerySet, limit: int) -> Iterator[Candidate]:
    viewed = pool.filter(popularity__people__gt=0).order_by("-popularity__people", "pk")
    yield from _read(viewed, limit, "Popular with other people.")


def _find_newest(pool: ProductQuerySet, limit: int) -> Iterator[Candidate]:
    yield from _read(pool.order_by("-id"), limit, "New in the catalogue.")


def _load(pool: ProductQuerySet, reasons: dict[UUID, str]) -> Iterator[Candidate]:
    """Yield those of the products that are in the pool, in the order of `reasons`."""
    categories = dict(pool.filter(pk__in=reasons).values_list("pk", "category"))
    for pk, reason in reasons.items():
        if pk in categories:
            yield Candidate(pk, categories[pk], reason)


def _read(products: ProductQuerySet, limit: int, reason: str) -> Iterator[Candidate]:
    for pk, category in products.values_list("pk", "category")[:limit]:
        yield Candidate(pk, category, reason)
