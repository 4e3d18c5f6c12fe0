"""Finding products by words, best first.

What is asked for is looked up in this order, and the first that finds something is the answer:

1. the products with this very SKU, and what else has all of its words;
2. the words as they are (`ranking.rank`);
3. the words with the unknown ones put right (`spelling`). That comes first if all of them are
   then found together, which they are not as they were typed;
4. the words with the last one taken for the beginning of a word;
5. names that hold the text as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from catalog import spelling, vocabulary_refresh
from catalog.models import Product
from catalog.query_parser import Words
from catalog.querysets import ProductQuerySet
from catalog.ranking import WINDOW, Ranking, occurs, rank, rank_all, rank_named, rank_sku
from catalog.search_terms import Lexemes, Term, all_of, terms_of

SHORTEST_PART = 3

# With a LIMIT PostgreSQL would go through the whole table for a common word, by itself or along
# the index of a list, and unpack each long text to see whether it is there; and where it began
# would differ from page to page. So only bitmaps are left: they begin with the words.
PLANS = """
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true),
           set_config('enable_indexonlyscan', 'off', true), set_config('jit', 'off', true),
           set_config('max_parallel_workers_per_gather', '0', true),
           set_config('work_mem', '32MB', true),
           set_config('pg_trgm.similarity_threshold', '0.25', true)
"""


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

    Any text will do; one without a letter or a digit finds a SKU or nothing. Of a long text the
    first words count (`query_words.MOST_WORDS`).
    """
    with _index_plans():
        ranking, corrected = _answer(products, text.strip())
        ids = ranking.page(offset, limit)
        total, exact = ranking.total()
        rows = products.order_by().in_bulk(ids)
    return Found([rows[pk] for pk in ids if pk in rows], total, exact, corrected)


def _answer(products: ProductQuerySet, text: str) -> tuple[Ranking, str]:
    sku = rank_sku(products, text)
    words = Words.of(text)
    terms = terms_of(words)
    if not terms:
        as_it_is = not sku.finds() and any(map(_is_foreign_digit, text))
        return rank_named(products, text) if as_it_is else sku, ""
    if same := sku.page(0, WINDOW):
        return rank_all(products, terms, first=same), ""
    asked = rank(products, terms)
    others = _put_right(products, text, terms)
    for corrected, other in others:
        if occurs(products, all_of(other)):
            return rank(products, other), corrected
    if asked.finds():
        return asked, ""
    return _last_resort(products, text, terms, others) or (asked, "")


def _last_resort(
    products: ProductQuerySet, text: str, terms: list[Term], others: list[tuple[str, list[Term]]]
) -> tuple[Ranking, str] | None:
    """What finds something at all."""
    rankings = [(rank(products, other), corrected) for corrected, other in others]
    rankings.append((rank(products, [*terms[:-1], terms[-1].completed()]), ""))
    if len(text) >= SHORTEST_PART or any(map(_is_foreign_digit, text)):
        rankings.append((rank_named(products, text), ""))
    return next((way for way in rankings if way[0].finds()), None)


def _is_foreign_digit(char: str) -> bool:
    """Of those PostgreSQL makes no words: they are found as parts of a name, however short."""
    return char.isnumeric() and not char.isascii()


def _put_right(
    products: ProductQuerySet, text: str, terms: list[Term]
) -> list[tuple[str, list[Term]]]:
    """The query with the words put right that no product has, if it needs to be."""
    if all(term.products for term in terms) or occurs(products, all_of(terms)):
        return []
    vocabulary_refresh.catch_up()
    unknown = [term.word for term in terms if not term.products and not _occurs(term)]
    ways = spelling.corrections(text, unknown, alone=len(unknown) == len(terms))
    return [(other, terms_of(Words.of(other))) for other in ways]


def _occurs(term: Term) -> bool:
    """Whether any product has the word: the vocabulary may not know it yet."""
    return occurs(Product.objects.live(), Lexemes(term.lexemes))


@contextmanager
def _index_plans() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PLANS)
        yield
