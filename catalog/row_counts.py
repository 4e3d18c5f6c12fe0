"""Totals of lists and searches: counted where that is fast, otherwise estimated by the planner.

Counting visits each row, and in a large table the rows lie far apart.
"""

import time
from functools import lru_cache

from django.db import connection
from django.db.models import QuerySet

from catalog.list_query import CompiledQuery

# The most rows that are counted, by the size of the table.
MAX_COUNTED_ROWS = 10_000
MAX_COUNTED_ROWS_IN_LARGE_TABLE = 1_000
LARGE_TABLE_ROWS = 100_000
# How long a process remembers the size of the table.
TABLE_SIZE_TTL_S = 60


def max_counted_rows() -> int:
    """Return up to how many rows are counted."""
    is_large = _table_rows(int(time.monotonic() / TABLE_SIZE_TTL_S)) > LARGE_TABLE_ROWS
    return MAX_COUNTED_ROWS_IN_LARGE_TABLE if is_large else MAX_COUNTED_ROWS


@lru_cache(maxsize=1)
def _table_rows(_period: int) -> int:
    """Return PostgreSQL's last count of all products."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'catalog_product'::regclass")
        return int(cursor.fetchone()[0])


def count_or_estimate(queryset: QuerySet) -> tuple[int, bool]:
    """Return the number of rows, and whether it is exact."""
    limit = max_counted_rows()
    counted = queryset.order_by()[: limit + 1].count()
    if counted <= limit:
        return counted, True
    return max(estimate_count(queryset), counted), False


def estimate_count(queryset: QuerySet) -> int:
    """Return the number of rows that the planner expects."""
    return estimate_rows(CompiledQuery.from_queryset(queryset.order_by()))


def estimate_rows(query: CompiledQuery) -> int:
    """Return the number of rows that the planner expects of a compiled query."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT json) {query.sql}", query.parameters)
        plan = cursor.fetchone()[0]
    return int(plan[0]["Plan"]["Plan Rows"])
