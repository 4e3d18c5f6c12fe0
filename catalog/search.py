"""Full-text search of products, best match first.

These interpretations of a query are tried in this order, and the first with a match is used:

1. the products with this SKU, whatever its signs, then the others that have all of its words;
2. the words as typed (`ranking.rank`), an unknown one also as a part of a compound;
3. the words with the unknown ones corrected (`spelling`). This comes before 2 if some product has
   all of the corrected words, but none has all of the typed ones;
4. the words with the last one as a prefix;
5. the text as a part of a name.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from catalog import spelling, vocabulary_refresh
from catalog.models import Product
from catalog.query_parser import ParsedQuery, parse_query
from catalog.querysets import ProductQuerySet
from catalog.ranking import (
    MAX_RANKED_ROWS,
    Ranking,
    has_match,
    rank,
    rank_all,
    rank_by_name_part,
    rank_by_sku,
)
from catalog.search_terms import LexemeQuery, Term, all_of, to_terms

MIN_NAME_PART_CHARS = 3

# For a query with a LIMIT and a common word, PostgreSQL would scan the whole table or the index of
# a list and decompress each long text to test it. Such scans also start at different places, so
# pages would overlap. With them disabled it uses bitmap scans, which start from the words' index.
BITMAP_PLANS = """
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true),
           set_config('enable_indexonlyscan', 'off', true), set_config('jit', 'off', true),
           set_config('max_parallel_workers_per_gather', '0', true),
           set_config('work_mem', '32MB', true),
           set_config('pg_trgm.similarity_threshold', '0.25', true)
"""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of search results.

    `total` is the number of all matches, counted (`is_exact`) or estimated. `corrected` is the
    query that was used instead of the typed one, or empty.
    """

    products: list[Product]
    total: int
    is_exact: bool = True
    corrected: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """A corrected query and its terms."""

    text: str
    terms: list[Term]


def search(
    products: ProductQuerySet, text: str, *, offset: int = 0, limit: int = 10
) -> SearchResult:
    """Return the products among `products` that match `text`, best first, from `offset` on.

    Any text is allowed; one without letters and digits can only match a SKU. Of a long text only
    the first words count (`query_parser.MAX_WORDS`).
    """
    with _bitmap_plans():
        ranking, corrected = _interpret(products, unicodedata.normalize("NFC", text.strip()))
        ids = ranking.page(offset, limit)
        total, is_exact = ranking.total()
        rows = products.order_by().in_bulk(ids)
    return SearchResult([rows[pk] for pk in ids if pk in rows], total, is_exact, corrected)


def _interpret(products: ProductQuerySet, text: str) -> tuple[Ranking, str]:
    """Return the ranking of the first interpretation with a match, and the corrected query."""
    by_sku = rank_by_sku(products, text)
    terms = _to_terms(products, parse_query(text))
    if not terms:
        use_name = not by_sku.has_matches() and _has_unindexed_sign(text)
        return rank_by_name_part(products, _without_variants(text)) if use_name else by_sku, ""
    if with_sku := by_sku.page(0, MAX_RANKED_ROWS):
        return rank_all(products, terms, first=with_sku), ""
    as_typed = rank(products, terms)
    corrections = _correct(products, text, terms)
    for correction in corrections:
        if has_match(products, all_of(correction.terms)):
            return rank(products, correction.terms), correction.text
    if as_typed.has_matches():
        return as_typed, ""
    return _fall_back(products, text, terms, corrections) or (as_typed, "")


def _to_terms(products: ProductQuerySet, query: ParsedQuery) -> list[Term]:
    """Return the terms of a query; an unknown word may be one of a new product."""
    terms = to_terms(query)
    if all(term.product_count for term in terms) or has_match(products, all_of(terms)):
        return terms
    return to_terms(query) if vocabulary_refresh.refresh_before_search() else terms


def _fall_back(
    products: ProductQuerySet, text: str, terms: list[Term], corrections: list[Correction]
) -> tuple[Ranking, str] | None:
    """Return the first other interpretation with a match, for typed words without one."""
    rankings = [(rank(products, other.terms), other.text) for other in corrections]
    rankings.append((rank(products, [*terms[:-1], terms[-1].as_prefix()]), ""))
    if len(text) >= MIN_NAME_PART_CHARS or _has_unindexed_sign(text):
        rankings.append((rank_by_name_part(products, text), ""))
    return next((ranked for ranked in rankings if ranked[0].has_matches()), None)


def _has_unindexed_sign(text: str) -> bool:
    """Whether the text has digits or symbols, like emoji, that PostgreSQL does not index."""
    return any(
        char.isnumeric() or unicodedata.category(char)[0] == "S"
        for char in text
        if not char.isascii()
    )


def _without_variants(text: str) -> str:
    """Remove the marks that choose between a black and a coloured emoji."""
    return text.replace("\ufe0e", "").replace("\ufe0f", "")


def _correct(products: ProductQuerySet, text: str, terms: list[Term]) -> list[Correction]:
    """Return corrections of the words that no product has, the likeliest first."""
    if all(term.product_count for term in terms) or has_match(products, all_of(terms)):
        return []
    unknown = [term.word for term in terms if not term.product_count and not _is_in_use(term)]
    return [
        Correction(other, to_terms(parse_query(other)))
        for other in spelling.corrections(text, unknown)
    ]


def _is_in_use(term: Term) -> bool:
    """Whether any product has the word; the vocabulary may not know it yet."""
    return has_match(Product.objects.live(), LexemeQuery(term.lexemes))


@contextmanager
def _bitmap_plans() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BITMAP_PLANS)
        yield
