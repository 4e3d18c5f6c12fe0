"""Pages of a table of any size: neither the total nor a page far down reads all of it."""

import hashlib
import json
import time
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet, Window
from django.db.models.fields.tuple_lookups import (  # type: ignore[import-untyped]
    Tuple,
    TupleGreaterThanOrEqual,
    TupleLessThanOrEqual,
)
from django.db.models.functions import Mod, RowNumber
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from catalog.list_query import Listing, expected, page_and_count
from common.api.pagination import Pagination
from common.caching import store

# Up to here rows are counted; beyond, the planner's estimate serves and the answer says so.
# Counting visits each row, and the more products there are, the farther these lie apart.
COUNTED = 10_000
COUNTED_OF_MANY = 1_000
MANY = 100_000
# Seconds for which a process believes that there are many, or not.
SIZE_KNOWN = 60
# From here on a page is found by an anchor: the first row of the thousand rows that it lies in.
DEEP = 5_000
STEP = 1_000
# Past the end of any table, and yet a number that PostgreSQL reads.
FARTHEST = 10**15


class CatalogPagination(Pagination):
    """The usual envelope, and `total_exact`: whether `total` was counted or estimated."""

    def paginate_queryset(
        self,
        queryset: Listing,
        request: Request,
        view: Any = None,  # type: ignore[override]
    ) -> list[Any]:
        page, size = self.parse_page_parameters(request)
        start = (page - 1) * size
        if start >= DEEP and _go_one_way(queryset.order):
            products = queryset.products()
            total, exact = total_of(products)
            self.show(page, size, total, exact=exact)
            return [] if exact and start >= total else rows_far_down(products, start, size)
        limit, query = counted_rows(), queryset.sql()
        rows, total = page_and_count(
            query,
            start=min(start, FARTHEST),
            size=size,
            at_most=limit + 1,
            plan_once=not start and queryset.has_one_plan,
        )
        exact = total <= limit
        shown = total if exact else max(expected(query), total)
        self.show(page, size, shown, exact=exact)
        return rows

    def show(self, page: int, size: int, total: int, *, exact: bool) -> None:
        """Take over the figures of a page that was found elsewhere."""
        self.page, self.page_size, self.total, self.exact = page, size, total, exact

    def get_paginated_response(self, data: Any) -> Response:
        response = super().get_paginated_response(data)
        response.data["total_exact"] = self.exact
        return response

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        envelope = super().get_paginated_response_schema(schema)
        envelope["properties"]["total_exact"] = {
            "type": "boolean",
            "description": "False where `total` is an estimate, because there are many rows.",
        }
        envelope["properties"]["corrected"] = {
            "type": "string",
            "description": "Of a search alone: what was looked for instead, if anything was.",
        }
        return envelope


def counted_rows() -> int:
    """Up to how many rows are counted, by how large the table is."""
    return COUNTED_OF_MANY if _size_of_table(int(time.monotonic() / SIZE_KNOWN)) > MANY else COUNTED


@lru_cache(maxsize=1)
def _size_of_table(_moment: int) -> int:
    """The number of products, as PostgreSQL has counted them last."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'catalog_product'::regclass")
        return int(cursor.fetchone()[0])


def total_of(queryset: QuerySet) -> tuple[int, bool]:
    """How many rows there are, and whether they were counted or, being many, estimated."""
    limit = counted_rows()
    counted = queryset.order_by()[: limit + 1].count()
    if counted <= limit:
        return counted, True
    return max(estimate(queryset), counted), False


def estimate(queryset: QuerySet) -> int:
    """The number of rows that the planner expects."""
    return expected(queryset.order_by().query.sql_with_params())


def rows_far_down(queryset: QuerySet, start: int, size: int) -> list[Any]:
    """The rows from `start` on, read from the anchor before them instead of from the beginning.

    The queryset is ordered by columns and the id, all in the same direction.
    """
    anchors = _anchors(queryset)
    number, rest = divmod(start, STEP)
    if number >= len(anchors):
        return []
    columns = _columns(queryset)
    descending = str(queryset.query.order_by[0]).startswith("-")
    lookup = TupleLessThanOrEqual if descending else TupleGreaterThanOrEqual
    after = lookup(Tuple(*map(F, columns)), tuple(anchors[number]))
    query = queryset.filter(after).query.sql_with_params()
    rows, _ = page_and_count(query, start=rest, size=size, at_most=0)
    return rows


def _anchors(queryset: QuerySet) -> list[list[Any]]:
    """Of every thousandth row its ordering columns; kept as long as no product changes."""
    key = hashlib.sha256(str(queryset.query).encode()).hexdigest()
    lookup = store.look_up("products", f"anchors:{key}")
    if lookup.response is not None:
        return json.loads(lookup.response)
    place = Window(RowNumber(), order_by=[str(name) for name in queryset.query.order_by])
    numbered = queryset.annotate(first=Mod(place, STEP)).filter(first=1)
    anchors = list(numbered.values_list(*_columns(queryset)))
    copy = json.dumps(anchors, cls=JSONEncoder).encode()
    if lookup.is_locked_by_caller:
        store.store_response(lookup, copy)
    return json.loads(copy)


def _columns(queryset: QuerySet) -> list[str]:
    return list(dict.fromkeys(str(name).removeprefix("-") for name in queryset.query.order_by))


def _go_one_way(order: tuple[str, ...]) -> bool:
    """Whether all columns are ordered in one direction, so that rows compare as tuples do."""
    return len({name.startswith("-") for name in order}) == 1
