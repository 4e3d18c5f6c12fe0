"""Choosing the products that a person is shown: for the person, or like one product."""

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Max

from accounts.models import User
from catalog.models import Product, ProductView
from catalog.public_fields import product_to_json
from catalog.querysets import ProductQuerySet
from catalog.recommendations import pending_views
from catalog.recommendations.candidates import Candidate, find_candidates
from common.api.renderers import JSONRenderer
from common.caching import store

MAX_SEEDS = 20
# The most of the list that one category fills while there are others.
MAX_CATEGORY_SHARE = 0.5
# So many candidates for each place, to have several categories to choose from.
CANDIDATES_PER_PLACE = 3

Item = dict[str, Any]


def recommend_products(person: User | None, *, product: Product | None, limit: int) -> list[Item]:
    """Return the public fields of up to `limit` products, each with a `reason`.

    They are like `product`, or else like what the person viewed; without both, the popular ones.
    They are cached for a minute, until a product changes or the person views another one.
    """
    lookup = store.look_up("products", _cache_key(person, product, limit))
    if lookup.response is not None:
        cached: list[Item] = json.loads(lookup.response)
        return cached
    encoded = None
    try:
        items = _select(person, product, limit)
        encoded = JSONRenderer().render(items)
    finally:
        if lookup.has_lock:
            store.store_response(lookup, encoded)
    return items


def _cache_key(person: User | None, product: Product | None, limit: int) -> str:
    """Return a key that changes when the person views another product."""
    target = f"recommendations:{product and product.pk}:{limit}"
    if person is None:
        return target
    last = ProductView.objects.filter(user=person).aggregate(last=Max("created_at"))["last"]
    # Not their number: the views of a day that are stored already leave no later `last` behind.
    waiting = "".join(view.member for view in pending_views.read_of_person(person))
    digest = sha256(waiting.encode()).hexdigest()
    return f"{target}:{person.company_id}:{person.pk}:{last}:{digest}"


def _select(person: User | None, product: Product | None, limit: int) -> list[Item]:
    waiting = [view.product_id for view in pending_views.read_of_person(person)] if person else []
    pool = Product.objects.public().in_stock().exclude(pk__in=waiting)
    if person:
        pool = pool.not_viewed_by(person)
    if product:
        pool = pool.exclude(pk=product.pk)
        candidates = find_candidates([product], pool, limit)
        return _to_items(list(islice(candidates, limit)), pool)
    seeds = _find_seeds(person, waiting) if person else []
    candidates = find_candidates(seeds, pool, limit * CANDIDATES_PER_PLACE)
    return _to_items(vary_categories(candidates, limit), pool)


def _find_seeds(person: User, waiting: list[UUID]) -> list[Product]:
    """Return the public products that the person viewed last."""
    views = ProductView.objects.filter(user=person).order_by("-created_at")
    latest = views.values_list("product", flat=True)[: 2 * MAX_SEEDS]
    ids = list(dict.fromkeys([*waiting, *latest]))[:MAX_SEEDS]
    products = Product.objects.public().only("name", "category").in_bulk(ids)
    return [products[pk] for pk in ids if pk in products]


def vary_categories(candidates: Iterable[Candidate], limit: int) -> list[Candidate]:
    """Return the first candidates, but of one category only a part while there are others."""
    most = max(1, int(limit * MAX_CATEGORY_SHARE))
    chosen: list[Candidate] = []
    others: list[Candidate] = []
    counts: Counter[str] = Counter()
    for candidate in candidates:
        is_left_out = counts[candidate.category] >= most
        (others if is_left_out else chosen).append(candidate)
        counts[candidate.category] += 1
        if len(chosen) == limit:
            break
    return [*chosen, *others][:limit]


def _to_items(candidates: list[Candidate], pool: ProductQuerySet) -> list[Item]:
    """Return the products with their reasons, without those that left the pool meanwhile."""
    products = pool.with_public_fields().in_bulk([c.product_id for c in candidates])
    return [
        {**product_to_json(products[c.product_id]), "reason": c.reason}
        for c in candidates
        if c.product_id in products
    ]
