"""Finding products by words, best first.

What is asked for is looked up in this order, and the first that finds something is the answer:

1. the words as they are (`ranking.rank`), led by the products with this very SKU;
2. the words with the unknown ones put right (`spelling`), if then all of them are found together
   or if as they are nothing was found at all;
3. names that hold the text as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from catalog.models import Product
from catalog.query_words import Words
from catalog.querysets import ProductQuerySet
from catalog.ranking import Ranking, rank, rank_named, rank_sku
from catalog.terms import terms_of

LONGEST_SKU = 64
SHORTEST_PART = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search.

    `total` counts what all pages hold, exactly or not (`exact`); `corrected` is the query that
    was answered instead of the one that was asked, or empty.
    """

    products: list[Product]
    total: int
    exact: bool = True
    corrected: str = ""


def search(products: ProductQuerySet, text: str, *, offset: int = 0, limit: int = 10) -> Found:
    """The products among `products` that `text` asks for, best first, from `offset` on.

    Any text is a search: one without a letter or a digit finds a SKU or nothing.
    """
    with index_plans():
        ranking = _ranking(products, text.strip())
        ids = ranking.page(offset, limit)
        total, exact = ranking.total()
    rows = products.order_by().in_bulk(ids)
    return Found([rows[pk] for pk in ids if pk in rows], total, exact)


def _ranking(products: ProductQuerySet, text: str) -> Ranking:
    exact = rank_sku(products, text)
    if text and len(text) <= LONGEST_SKU:
        exact.advance()
    words = Words.of(text).wanted
    if not words:
        return exact
    ranking = rank(products, terms_of(words))
    ranking.ids = list(exact.ids)
    return ranking


@contextmanager
def index_plans() -> Iterator[None]:
    """Have PostgreSQL use the indexes for what is asked inside.

    With a LIMIT it would read a table for a common word row by row, from wherever another scan
    of it happens to be; so pages would differ, and long texts would be read in vain.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"
        )
        yield
