"""A page of products and their total by one statement, as plain values.

Building model instances and compiling queries is what most of an uncached list's time would go
into. So the statement is compiled once for each set of filters and each order, and a request brings
only the values.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Expression, QuerySet, TextField
from django_filters.constants import EMPTY_VALUES
from psycopg import ClientCursor
from psycopg.types.datetime import TimestamptzLoader

from catalog.filters import ProductFilter
from catalog.models import Product

COLUMNS = (
    "id",
    "name",
    "description",
    "price",
    "stock",
    "category",
    "sku",
    "created_at",
    "updated_at",
    "company__id",
    "company__code",
    "company__name",
)

LISTED = Product.objects.public().values_list(*COLUMNS)
# Lookups that have the same SQL for all values.
UNIFORM = ("exact", "gte", "lte")
# Filters that the indexes beginning with the price, or with category and price, hold in order.
PRICED = {"category", "min_price", "max_price"}

SQL = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Listing:
    """The products that a request asks for: by filters that were found valid, in an order."""

    filters: ProductFilter
    order: tuple[str, ...]

    def products(self) -> QuerySet:
        return self.filters.qs.order_by(*self.order)

    def sql(self) -> SQL:
        """The query of `products()`, compiled before where the filters allow it."""
        values, given = self.filters.form.cleaned_data, self._given()
        if not all(_is_uniform(name) for name in given):
            return self.products().query.sql_with_params()
        sql, parameters = _template(given, self.order)
        return sql, tuple(values[p.name] if isinstance(p, Given) else p for p in parameters)

    @property
    def has_one_plan(self) -> bool:
        """Whether one index has the rows in this order, whatever the filters' values are.

        Otherwise a plan that is good for a common category can be very slow for a rare one.
        """
        by_price = self.order[0].removeprefix("-") == "price"
        return by_price and PRICED.issuperset(self._given())

    def _given(self) -> tuple[str, ...]:
        values = self.filters.form.cleaned_data
        return tuple(name for name, value in values.items() if value not in EMPTY_VALUES)


class Given(Expression):
    """Stands for a filter's value, which comes with the request."""

    def __init__(self, name: str) -> None:
        super().__init__(output_field=TextField())
        self.name = name

    def as_sql(self, *_: Any) -> SQL:  # type: ignore[override]
        return "%s", (self,)


@lru_cache(maxsize=1024)
def _template(filters: tuple[str, ...], order: tuple[str, ...]) -> SQL:
    products = LISTED.order_by(*order)
    for name in filters:
        products = ProductFilter.base_filters[name].filter(products, Given(name))
    return products.query.sql_with_params()


@cache
def _is_uniform(name: str) -> bool:
    found = ProductFilter.base_filters[name]
    return found.method is None and found.lookup_expr in UNIFORM


def page_and_count(
    query: SQL, *, start: int, size: int, at_most: int, plan_once: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """The rows from `start` on, as JSON has them, and how many there are, counted to `at_most`.

    The query is one of `LISTED`, filtered and ordered. `plan_once` leaves it to the server to keep
    a plan for all values: planning can take longer than the rest.
    """
    sql, parameters = query
    # The same FROM and WHERE serve the count: they begin behind the columns, which hold no query
    # of their own, and end where the order begins.
    condition = sql[sql.index(" FROM ") : sql.rindex(" ORDER BY ")]
    statement = f"""
        SELECT counted.n, page.* FROM
        (SELECT count(*) AS n FROM (SELECT 1{condition} LIMIT {at_most:d}) AS matches) AS counted
        LEFT JOIN LATERAL ({sql} LIMIT {size:d} OFFSET {start:d}) AS page ON true
    """  # noqa: S608 - made of what the ORM has compiled, with its parameters apart
    with _cursor(psycopg.Cursor if plan_once else ClientCursor) as cursor:
        cursor.execute(statement, [*parameters, *parameters])
        rows = cursor.fetchall()
    return [shown(row[1:]) for row in rows if row[1] is not None], rows[0][0]


def expected(query: SQL) -> int:
    """The number of rows that the planner expects of a query."""
    sql, parameters = query
    with _cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT json) {sql}", parameters)
        plan = cursor.fetchone()[0]
    return int(plan[0]["Plan"]["Plan Rows"])


@contextmanager
def _cursor(kind: Callable[..., psycopg.Cursor] = ClientCursor) -> Iterator[CursorWrapper]:
    """A cursor of Django's, but times are read by psycopg's C code: Django's own loader, which
    makes the zone of a session one of Python's, takes as long as all other columns together."""
    connection.ensure_connection()
    cursor: Any = kind(connection.connection)
    cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrap(cursor) as wrapped:
        yield wrapped


def shown(row: tuple[Any, ...]) -> dict[str, Any]:
    """A product as JSON has it, from the values of `COLUMNS`."""
    pk, name, text, price, stock, category, sku, created, updated, company, code, company_name = row
    return {
        "id": str(pk),
        "name": name,
        "description": text,
        "price": str(price),
        "stock": stock,
        "category": category,
        "sku": sku,
        "company": {"id": str(company), "code": code, "name": company_name},
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "updated_at": updated.isoformat().replace("+00:00", "Z"),
    }
