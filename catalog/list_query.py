"""The uncached product list: a page and its total by one statement, as JSON values.

For an uncached list, compiling the query and building model instances takes longer than running
the query. So rows are read as plain tuples, and Django compiles the query only once for each
combination of filters and ordering (docs/adr/0017-compiled-list-queries.md). The cache (`_compile`)
holds the SQL with a `FilterValue` in place of each filter's value; a request only binds its values.
The value of a flag is part of the cache's key. So the SQL of a filter must not depend on its value,
unless the filter is a flag.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Expression, QuerySet, TextField
from django_filters.constants import EMPTY_VALUES
from psycopg import ClientCursor
from psycopg.abc import Loader
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.string import TextLoader

from catalog.filters import ProductListFilter
from catalog.models import Product
from catalog.public_fields import COLUMNS, to_json

MAX_CACHED_QUERIES = 1024

PUBLIC_ROWS = Product.objects.public().values_list(*COLUMNS)
# With these filters an index (price, or category and price) returns rows in the order of price.
PRICE_INDEX_FILTERS = {"category", "min_price", "max_price"}

LOADERS = {"uuid": TextLoader, "numeric": TextLoader, "timestamptz": TimestamptzLoader}

# The count and the page are whole queries, compiled by Django. The join keeps the count where the
# page is empty.
STATEMENT = """
    SELECT counted.total, page.* FROM
    (SELECT count(*) AS total FROM ({matches} LIMIT {max_total:d}) AS matches) AS counted
    LEFT JOIN LATERAL ({rows} LIMIT {size:d} OFFSET {start:d}) AS page ON true
"""


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """The SQL of a queryset and its parameters."""

    sql: str
    parameters: tuple[Any, ...]

    @classmethod
    def from_queryset(cls, queryset: QuerySet) -> "CompiledQuery":
        return cls(*queryset.query.sql_with_params())

    def bind(self, values: Mapping[str, Any]) -> "CompiledQuery":
        """Replace each `FilterValue` with the value of its filter."""
        bound = [values[p.name] if isinstance(p, FilterValue) else p for p in self.parameters]
        return CompiledQuery(self.sql, tuple(bound))


@dataclass(frozen=True, slots=True)
class CompiledList:
    """The queries of a list: `rows` in their order, and `matches`, the same rows for counting."""

    rows: CompiledQuery
    matches: CompiledQuery

    @classmethod
    def from_queryset(cls, queryset: QuerySet) -> "CompiledList":
        return cls(
            CompiledQuery.from_queryset(queryset),
            CompiledQuery.from_queryset(queryset.order_by().values("pk")),
        )

    def bind(self, values: Mapping[str, Any]) -> "CompiledList":
        return CompiledList(self.rows.bind(values), self.matches.bind(values))


class FilterValue(Expression):
    """A placeholder for the value of a filter, which comes with the request."""

    def __init__(self, name: str) -> None:
        super().__init__(output_field=TextField())
        self.name = name

    def as_sql(self, *_: Any) -> tuple[str, tuple["FilterValue"]]:  # type: ignore[override]
        return "%s", (self,)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The product list of a request, with valid filters and an order."""

    filters: ProductListFilter
    order: tuple[str, ...]

    def queryset(self) -> QuerySet:
        return self.filters.qs.order_by(*self.order)

    def compile(self) -> CompiledList:
        """Return the compiled `queryset()`, with SQL from the cache."""
        values = self._filter_values()
        flags = tuple((n, v if isinstance(v, bool) else None) for n, v in values.items())
        return _compile(flags, self.order).bind(values)

    @property
    def has_stable_plan(self) -> bool:
        """Whether one index returns the rows in this order for all values of the filters.

        Otherwise a plan that is good for a common category can be very slow for a rare one.
        """
        is_by_price = self.order[0].removeprefix("-") == "price"
        return is_by_price and PRICE_INDEX_FILTERS.issuperset(self._filter_values())

    def _filter_values(self) -> dict[str, Any]:
        values = self.filters.form.cleaned_data
        return {name: value for name, value in values.items() if value not in EMPTY_VALUES}


@lru_cache(maxsize=MAX_CACHED_QUERIES)
def _compile(filters: tuple[tuple[str, bool | None], ...], order: tuple[str, ...]) -> CompiledList:
    """Compile the list with these filters: their names, and the values of those that are flags."""
    products = PUBLIC_ROWS.order_by(*order)
    for name, flag in filters:
        value = FilterValue(name) if flag is None else flag
        products = ProductListFilter.base_filters[name].filter(products, value)
    return CompiledList.from_queryset(products)


def fetch_page(
    query: CompiledList, *, start: int, size: int, max_total: int, reuse_plan: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """Return the rows from `start` on as JSON objects, and the total, counted up to `max_total`.

    With `reuse_plan` the server may keep one plan for all values: planning can take longer than
    running the query.
    """
    statement = STATEMENT.format(
        matches=query.matches.sql,
        rows=query.rows.sql,
        max_total=max_total,
        size=size,
        start=start,
    )
    with open_cursor(psycopg.Cursor if reuse_plan else ClientCursor) as cursor:
        cursor.execute(statement, [*query.matches.parameters, *query.rows.parameters])
        rows = cursor.fetchall()
    return [to_json(row[1:]) for row in rows if row[1] is not None], rows[0][0]


def fetch_rows(queryset: QuerySet) -> list[dict[str, Any]]:
    """Return the rows of a queryset over `COLUMNS` as JSON objects."""
    query = CompiledQuery.from_queryset(queryset)
    with open_cursor() as cursor:
        cursor.execute(query.sql, query.parameters)
        return [to_json(row) for row in cursor.fetchall()]


@contextmanager
def open_cursor(
    factory: Callable[..., psycopg.Cursor] = ClientCursor,
    loaders: Mapping[str, type[Loader]] = LOADERS,
) -> Iterator[CursorWrapper]:
    """Open a cursor of Django's with faster loaders.

    Ids and prices stay the text that JSON needs. Times are read by psycopg's C code: Django's own
    loader converts each to a Python time zone, which takes as long as reading all other columns.
    """
    connection.ensure_connection()
    cursor: Any = factory(connection.connection)
    for type_name, loader in loaders.items():
        cursor.adapters.register_loader(type_name, loader)
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrap(cursor) as wrapped:
        yield wrapped
