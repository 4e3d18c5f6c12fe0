"""Full-text search of products, best match first.

These interpretations of a query are tried in this order, and the first with a match is used:

1. the products with this SKU, whatever its signs, then the others that have all of its words;
2. the words as typed (`ranking`), an unknown one also as a part of a compound;
3. the words with the unknown ones corrected (`spelling`). This comes before 2 if some product has
   all of the corrected words, but none has all of the typed ones;
4. the words with the last one as a prefix;
5. the text as a part of a name.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from catalog import spelling, vocabulary_refresh
from catalog.models import Product
from catalog.query_parser import parse_query
from catalog.querysets import ProductQuerySet
from catalog.ranking import Candidates, RankedPage
from catalog.search_terms import Term, join_all, join_any, to_terms

MIN_NAME_PART_CHARS = 3

# For a query with a LIMIT and a common word, PostgreSQL would scan the whole table or the index of
# a list and decompress each long text to test it. Such scans also start at different places, so
# pages would overlap. With them disabled it uses bitmap scans, which start from the words' index.
# One plan then serves all words, and planning takes longer than running it for a rare word.
BITMAP_PLANS = """
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true),
           set_config('enable_indexonlyscan', 'off', true), set_config('jit', 'off', true),
           set_config('max_parallel_workers_per_gather', '0', true),
           set_config('work_mem', '32MB', true),
           set_config('plan_cache_mode', 'force_generic_plan', true),
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


def search(
    products: ProductQuerySet, text: str, *, offset: int = 0, limit: int = 10
) -> SearchResult:
    """Return the products among `products` that match `text`, best first, from `offset` on.

    Any text is allowed; one without letters and digits can only match a SKU. Of a long text only
    the first words count (`query_parser.MAX_WORDS`).
    """
    with _bitmap_plans():
        query = _Interpreter(Candidates(products), offset, limit)
        page, corrected = query.interpret(unicodedata.normalize("NFC", text.strip()))
        rows = products.order_by().in_bulk(page.ids)
    found = [rows[pk] for pk in page.ids if pk in rows]
    return SearchResult(found, page.total, page.is_exact, corrected)


@dataclass(frozen=True, slots=True)
class Correction:
    """A corrected query and its terms."""

    text: str
    terms: list[Term]


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """Finds the first interpretation with a match, and returns the page of its results."""

    candidates: Candidates
    offset: int
    limit: int

    def interpret(self, text: str) -> tuple[RankedPage, str]:
        """Return a page, and the corrected query if that was used."""
        with_sku = self.candidates.with_sku(text)
        terms = _to_terms(text)
        if not terms:
            use_name = _has_unindexed_sign(text) and not with_sku
            name = _without_variants(text)
            return (self._rank_by_name(name) if use_name else self._list(with_sku)), ""
        if with_sku or all(term.product_count for term in terms):
            return self._rank(terms, with_sku), ""
        unknown, has_full_match = self._check_unknown(terms)
        # An unknown word may be one of a new product.
        if not has_full_match and vocabulary_refresh.refresh_before_search():
            terms = _to_terms(text)
            unknown, has_full_match = self._check_unknown(terms)
        if has_full_match:
            return self._rank(terms), ""
        return self._correct(text, terms, unknown)

    def _check_unknown(self, terms: list[Term]) -> tuple[list[Term], bool]:
        """Return the terms that no live product has, and whether any product has all terms."""
        unknown = [term for term in terms if not term.product_count]
        has_full_match, in_use = self.candidates.check_unknown(terms, unknown)
        return [term for term in unknown if term not in in_use], has_full_match

    def _correct(self, text: str, terms: list[Term], unknown: list[Term]) -> tuple[RankedPage, str]:
        """Return the page of a correction, of some of the words, of a prefix or part of a name."""
        corrections = _correct_spelling(text, terms, unknown)
        queries = [Correction("", terms), *corrections]
        queries.append(Correction("", [*terms[:-1], terms[-1].as_prefix()]))
        full = [_all_words(query.terms) for query in corrections]
        part = [_any_word(query.terms) for query in queries]
        first = self.candidates.find_first_matching(full + part)
        if first is not None:
            best = [*corrections, *queries][first]
            return self._rank(best.terms), best.text
        if len(text) >= MIN_NAME_PART_CHARS or _has_unindexed_sign(text):
            return self._rank_by_name(text), ""
        return RankedPage([], 0), ""

    def _rank(self, terms: list[Term], first: list[UUID] | None = None) -> RankedPage:
        return self.candidates.rank(terms, offset=self.offset, limit=self.limit, first=first or [])

    def _rank_by_name(self, text: str) -> RankedPage:
        return self.candidates.rank_by_name_part(text, offset=self.offset, limit=self.limit)

    def _list(self, ids: list[UUID]) -> RankedPage:
        return RankedPage(ids[self.offset : self.offset + self.limit], len(ids))


def _correct_spelling(text: str, terms: list[Term], unknown: list[Term]) -> list[Correction]:
    """Return the text with its unknown words corrected, the likeliest first."""
    texts = list(
        spelling.corrections(
            text,
            [term.word for term in unknown],
            has_known_words=any(term.product_count for term in terms),
        )
    )
    return list(map(Correction, texts, to_terms(map(parse_query, texts)))) if texts else []


def _to_terms(text: str) -> list[Term]:
    return to_terms([parse_query(text)])[0]


def _all_words(terms: list[Term]) -> str:
    return join_all(term.lexemes for term in terms)


def _any_word(terms: list[Term]) -> str:
    return join_any(term.lexemes for term in terms)


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


@contextmanager
def _bitmap_plans() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BITMAP_PLANS)
        yield
