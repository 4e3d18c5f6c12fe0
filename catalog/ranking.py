"""The order of search results: a page is ranked by one statement.

Products with all words come first, then those with the words of the most weight (the sum of their
inverse document frequencies). Among these, a product's score is the sum over the words of

- how often the name has the word, as `ts_rank` counts it, more for a short name,
- whether it is the last word of the category or among the first words of the description.

The constants were chosen on the data of `benchmarks/search_quality.py`; results hardly depend on
them (docs/adr/0037-ranking-by-one-statement.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any
from uuid import UUID

import psycopg

from catalog.list_query import CompiledQuery, open_cursor
from catalog.querysets import ProductQuerySet
from catalog.row_counts import count_or_estimate, estimate_rows, max_counted_rows
from catalog.search_terms import Term, join_all, join_any

# If more products may match, only those with the rarer words are ranked or, if all words are
# common, the search sample (one product in 32). All others follow, newest first.
MAX_RANKED_ROWS = 20_000
# A sample of fewer products is too small; because of the request's filters there are few matches.
MIN_SAMPLE_ROWS = 40
MAX_SKU_CHARS = 64
# An offset past the end of any table that PostgreSQL still accepts.
MAX_OFFSET_ROWS = 10**15
COLUMNS = ("id", "name", "category", "sku", "heading_vector", "search_vector")

# The index of the sample has this condition (`models.SEARCH_SAMPLE`).
IN_SAMPLE = "right(id::varchar, 2) < '08'"
# A name of 10 characters counts 1.8 times as much as one of 90.
BREVITY = "(5 / (1 + ln(1 + length(name) / 10::float8)))"
# The weights are those of `ts_rank`: for D (first words of the description), C (last word of the
# category), B (category) and A (name). A variant in the name counts half of the typed word.
SCORE = """
    weight_{i} * CASE
        WHEN inflections_{i} = '' OR name ~* inflections_{i} OR category ~* inflections_{i} THEN 1
        ELSE 0.8::float8
    END * (
        greatest(
            ts_rank('{{0, 0, 0, 1}}', heading_vector, typed_{i}),
            0.3::float8 * (heading_vector @@ in_name_{i})::int
        ) * {brevity}
        + ts_rank('{{0.6, 1, 0, 0}}', heading_vector, typed_{i})
    )
"""
# The heading is tried first: the longer vector is compressed.
COVERAGE = """
    weight_{i} * (heading_vector @@ any_form_{i} OR search_vector @@ any_form_{i})::int
"""
# Without all words, a product has one of two.
COVERAGE_OF_TWO = """
    CASE WHEN heading_vector @@ any_form_0 THEN weight_0
        WHEN heading_vector @@ any_form_1 THEN weight_1
        WHEN search_vector @@ any_form_0 THEN weight_0 ELSE weight_1 END
"""
TERM_COLUMNS = """
    %s::float8 AS weight_{i}, %s::tsquery AS typed_{i}, %s::tsquery AS any_form_{i},
    %s::tsquery AS in_name_{i}, %s::text AS inflections_{i}
"""
QUERY = """
    WITH product AS NOT MATERIALIZED ({products}),
    query AS NOT MATERIALIZED (
        SELECT %s::tsquery AS all_words, %s::tsquery AS ranked_words, %s::tsquery AS any_word,
            %s::uuid[] AS first, {terms}
    )
"""
PAGE = """
    , full_match AS MATERIALIZED (
        SELECT id, {score} AS score FROM product, query
        WHERE search_vector @@ all_words AND id <> ALL(first) {full_sample}
    ), part_match AS MATERIALIZED (
        SELECT id, {coverage} AS coverage, {score} AS score FROM product, query
        WHERE {has_parts} AND (SELECT count(*) FROM full_match) < %s
            AND search_vector @@ ranked_words AND id NOT IN (SELECT id FROM full_match)
            {part_sample}
    ), ranked AS (
        SELECT id, 'infinity'::float8 AS coverage, score FROM full_match
        UNION ALL SELECT id, coverage, score FROM part_match
    )
    SELECT
        ARRAY(SELECT id FROM ranked ORDER BY coverage DESC, score DESC, id DESC OFFSET %s LIMIT %s),
        (SELECT count(*) FROM full_match), (SELECT count(*) FROM part_match),
        CASE WHEN {has_parts} AND (SELECT count(*) FROM full_match) >= %s THEN (
            SELECT count(*) FROM (
                SELECT FROM product, query WHERE search_vector @@ any_word LIMIT %s
            ) AS counted
        ) END
"""
REST = """
    SELECT ARRAY(
        SELECT id FROM product, query
        WHERE search_vector @@ any_word AND id <> ALL(first) AND NOT ({ranked})
        ORDER BY search_vector @@ all_words DESC, id DESC OFFSET %s LIMIT %s
    )
"""
COUNT = """
    SELECT count(*) FROM (
        SELECT FROM product, query WHERE search_vector @@ any_word AND id <> ALL(first) LIMIT %s
    ) AS counted
"""
FIRST_MATCHING = """
    WITH product AS NOT MATERIALIZED ({products})
    SELECT number FROM unnest(%s::text[]) WITH ORDINALITY AS query(text, number)
    WHERE EXISTS (SELECT FROM product WHERE search_vector @@ text::tsquery)
    ORDER BY number LIMIT 1
"""
# Which words do any live products have? The vocabulary may not know them yet.
CHECK_UNKNOWN = """
    WITH product AS NOT MATERIALIZED ({products})
    SELECT EXISTS (SELECT FROM product WHERE search_vector @@ %s::tsquery),
        ARRAY(
            SELECT number FROM unnest(%s::text[]) WITH ORDINALITY AS query(text, number)
            WHERE EXISTS (
                SELECT FROM catalog_product
                WHERE deleted_at IS NULL AND search_vector @@ text::tsquery
            )
        )
"""
# The expression of the index `product_by_sku_code`.
SKU_CODE = "regexp_replace(upper({text}), '[^[:alnum:]]+', '', 'g')"
WITH_SKU = """
    WITH product AS NOT MATERIALIZED ({products})
    SELECT id FROM product
    WHERE sku <> '' AND (upper(sku) = upper(%s) OR {code} = nullif({typed_code}, ''))
    ORDER BY upper(sku) = upper(%s) DESC, id DESC LIMIT 500
""".replace("{code}", SKU_CODE.format(text="sku")).replace(
    "{typed_code}", SKU_CODE.format(text="%s")
)


@dataclass(frozen=True, slots=True)
class RankedPage:
    """The ids of a page and the number of all results, counted (`is_exact`) or estimated."""

    ids: list[UUID]
    total: int
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class _Query:
    """A query, and which of its matches are ranked.

    ranked_terms: rows with some of the words are only ranked if they have one of these.
    """

    terms: list[Term]
    first: list[UUID]
    ranked_terms: list[Term]
    is_full_sampled: bool
    is_part_sampled: bool

    @classmethod
    def of(cls, terms: list[Term], first: list[UUID]) -> "_Query":
        by_rarity = sorted(terms, key=lambda term: term.max_products)
        totals = accumulate(term.max_products for term in by_rarity)
        rare = [
            term for term, total in zip(by_rarity, totals, strict=True) if total <= MAX_RANKED_ROWS
        ]
        is_full_sampled = by_rarity[0].max_products > MAX_RANKED_ROWS
        return cls(terms, first, rare or terms, is_full_sampled, is_part_sampled=not rare)

    @property
    def has_parts(self) -> bool:
        """Whether products with some of the words are ranked."""
        return len(self.terms) > 1 and not self.first and not self.is_full_sampled

    @property
    def is_sampled(self) -> bool:
        return self.is_full_sampled or (self.has_parts and self.is_part_sampled)

    @property
    def is_bounded(self) -> bool:
        """Whether some matches are not ranked."""
        has_unranked_words = len(self.ranked_terms) < len(self.terms)
        return self.is_sampled or (self.has_parts and has_unranked_words)

    @property
    def ranked(self) -> str:
        """Return SQL for the condition of the products that are ranked."""
        if self.is_full_sampled:
            return f"search_vector @@ all_words AND {IN_SAMPLE}"
        part = f"search_vector @@ ranked_words {self._part_sample}" if self.has_parts else "false"
        return f"search_vector @@ all_words OR ({part})"

    @property
    def _part_sample(self) -> str:
        return f"AND {IN_SAMPLE}" if self.is_part_sampled else ""

    def without_bounds(self) -> "_Query":
        """Return the query that ranks all matches."""
        return replace(self, ranked_terms=self.terms, is_full_sampled=False, is_part_sampled=False)

    @property
    def any_word(self) -> str:
        return join_any(term.lexemes for term in self.terms)

    @property
    def values(self) -> list[Any]:
        all_words = join_all(term.lexemes for term in self.terms)
        ranked_words = join_any(term.lexemes for term in self.ranked_terms)
        any_word = all_words if self.first else self.any_word
        values: list[Any] = [all_words, ranked_words, any_word, self.first]
        for term in self.terms:
            values += [term.weight, term.typed, term.lexemes, term.in_name, term.inflection_pattern]
        return values

    def format(self, template: str) -> str:
        """Return a statement's SQL; it is the same for all queries of this many words."""
        return _format(
            template,
            len(self.terms),
            full_sample=f"AND {IN_SAMPLE}" if self.is_full_sampled else "",
            part_sample=self._part_sample,
            has_parts="true" if self.has_parts else "false",
            ranked=self.ranked,
        )


class Candidates:
    """The products that a search may return, and its statements over them."""

    def __init__(self, products: ProductQuerySet) -> None:
        self.products = products.order_by()
        self._compiled = CompiledQuery.from_queryset(self.products.values(*COLUMNS))

    def rank(
        self, terms: list[Term], *, offset: int, limit: int, first: Sequence[UUID] = ()
    ) -> RankedPage:
        """Rank the products with any of the terms, or with all of them after the ids `first`."""
        query = _Query.of(terms, list(first))
        start = min(max(0, offset - len(first)), MAX_OFFSET_ROWS)
        size = limit - len(first[offset : offset + limit])
        ids, full, part, counted = self._fetch_page(query, start, size)
        if query.is_sampled and full + part < MIN_SAMPLE_ROWS:
            query = query.without_bounds()
            ids, full, part, counted = self._fetch_page(query, start, size)
        if query.is_bounded and len(ids) < size:
            ids += self._fetch_rest(query, max(0, start - full - part), size - len(ids))
        page = [*first[offset : offset + limit], *ids]
        ranked = len(first) + full + part
        if query.is_bounded or (counted is not None and counted > max_counted_rows()):
            is_last = len(page) < limit and (page or offset == 0)
            if is_last:
                return RankedPage(page, offset + len(page))
            total, is_exact = self._count_or_estimate(query)
            return RankedPage(page, max(total, ranked, offset + len(page)), is_exact)
        return RankedPage(page, ranked if counted is None else counted)

    def rank_by_name_part(self, text: str, *, offset: int, limit: int) -> RankedPage:
        """Return the products whose name contains the text, within words too, newest first."""
        matches = self.products.filter(name__icontains=text)
        ids = matches.order_by("-pk").values_list("pk", flat=True)[offset : offset + limit]
        return RankedPage(list(ids), *count_or_estimate(matches))

    def with_sku(self, text: str) -> list[UUID]:
        """Return the products with this SKU, compared without signs; the same signs come first."""
        text = text[: MAX_SKU_CHARS + 1]
        return [pk for (pk,) in self._execute(WITH_SKU, [text, text, text])]

    def check_unknown(self, terms: list[Term], unknown: list[Term]) -> tuple[bool, list[Term]]:
        """Return whether any product has all terms, and which unknown ones any live one has."""
        all_words = join_all(term.lexemes for term in terms)
        values = [all_words, [term.lexemes for term in unknown]]
        has_all, numbers = self._execute(CHECK_UNKNOWN, values)[0]
        return has_all, [unknown[number - 1] for number in numbers]

    def find_first_matching(self, queries: Sequence[str]) -> int | None:
        """Return the index of the first of the tsqueries that matches any product."""
        rows = self._execute(FIRST_MATCHING, [list(queries)])
        return rows[0][0] - 1 if rows else None

    def _fetch_page(self, query: _Query, start: int, size: int) -> Any:
        end = start + size
        values = [*query.values, end, start, size, end, max_counted_rows() + 1]
        return self._execute(query.format(QUERY + PAGE), values)[0]

    def _fetch_rest(self, query: _Query, start: int, size: int) -> list[UUID]:
        return self._execute(query.format(QUERY + REST), [*query.values, start, size])[0][0]

    def _count_or_estimate(self, query: _Query) -> tuple[int, bool]:
        """Return the number of results, and whether it is exact.

        They are counted only if the planner expects few: reading common words takes long.
        """
        estimate, most = self._estimate(query), max_counted_rows()
        if estimate > most:
            return estimate, False
        counted = self._execute(query.format(QUERY + COUNT), [*query.values, most + 1])[0][0]
        return len(query.first) + counted, counted <= most

    def _estimate(self, query: _Query) -> int:
        sql = f"SELECT FROM ({self._compiled.sql}) AS product WHERE search_vector @@ %s::tsquery"
        return estimate_rows(CompiledQuery(sql, (*self._compiled.parameters, query.any_word)))

    def _execute(self, sql: str, values: list[Any]) -> list[Any]:
        with open_cursor(psycopg.Cursor, loaders={}) as cursor:
            cursor.execute(
                sql.replace("{products}", self._compiled.sql),
                [*self._compiled.parameters, *values],
            )
            return cursor.fetchall()


@lru_cache(maxsize=256)
def _format(template: str, terms: int, **fragments: str) -> str:
    def repeat(sql: str, separator: str) -> str:
        return separator.join(sql.format(i=i, brevity=BREVITY) for i in range(terms))

    return template.format(
        products="{products}",
        terms=repeat(TERM_COLUMNS, ", "),
        score=repeat(SCORE, " + "),
        coverage=COVERAGE_OF_TWO if terms == 2 else repeat(COVERAGE, " + "),
        **fragments,
    )
