"""Pages of a table of any size: neither the total nor a deep page reads all of it."""

import hashlib
import json
from typing import Any

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

from catalog.list_query import ListQuery, fetch_page, fetch_rows
from catalog.row_counts import count_or_estimate, estimate_rows, max_counted_rows
from common.api.pagination import Pagination
from common.caching import store

# A page from this offset on is read from an anchor: the first row of its block of rows.
DEEP_OFFSET_ROWS = 5_000
ANCHOR_BLOCK_ROWS = 1_000
# An offset past the end of any table that PostgreSQL still accepts.
MAX_OFFSET_ROWS = 10**15


class CatalogPagination(Pagination):
    """The usual envelope, and `total_exact`: whether `total` was counted or estimated."""

    def paginate_queryset(
        self,
        queryset: ListQuery,
        request: Request,
        view: Any = None,  # type: ignore[override]
    ) -> list[Any]:
        page, size = self.parse_page_parameters(request)
        start = (page - 1) * size
        if start >= DEEP_OFFSET_ROWS and _has_one_direction(queryset.order):
            rows, total, is_exact = _read_deep_page(queryset.queryset(), start, size)
        else:
            rows, total, is_exact = _read_page(queryset, start, size)
        self.set_page(page, size, total, is_exact=is_exact)
        return rows

    def set_page(self, page: int, size: int, total: int, *, is_exact: bool) -> None:
        """Set the values of the envelope."""
        self.page, self.page_size, self.total, self.is_exact = page, size, total, is_exact

    def get_paginated_response(self, data: Any) -> Response:
        response = super().get_paginated_response(data)
        response.data["total_exact"] = self.is_exact
        return response

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        envelope = super().get_paginated_response_schema(schema)
        envelope["properties"]["total_exact"] = {
            "type": "boolean",
            "description": "False if `total` is an estimate, because there are many rows.",
        }
        envelope["properties"]["corrected"] = {
            "type": "string",
            "description": "In a search: the corrected query whose results these are, or empty.",
        }
        envelope["required"].append("total_exact")
        return envelope


class SmartSearchPagination(CatalogPagination):
    """The envelope of product lists, and `complete`: whether meaning was searched too."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        envelope = super().get_paginated_response_schema(schema)
        envelope["properties"]["complete"] = {
            "type": "boolean",
            "description": "False if the results are those of words alone: the provider of "
            "embeddings did not answer in time, or no product has an embedding yet.",
        }
        envelope["required"] += ["corrected", "complete"]
        return envelope


def _read_page(query: ListQuery, start: int, size: int) -> tuple[list[Any], int, bool]:
    """Return the rows from `start` on, the total, and whether it is exact."""
    limit, compiled = max_counted_rows(), query.compile()
    rows, total = fetch_page(
        compiled,
        start=min(start, MAX_OFFSET_ROWS),
        size=size,
        max_total=limit + 1,
        reuse_plan=not start and query.has_stable_plan,
    )
    if total <= limit:
        return rows, total, True
    return rows, max(estimate_rows(compiled.rows), total), False


def _read_deep_page(queryset: QuerySet, start: int, size: int) -> tuple[list[Any], int, bool]:
    """Return the rows from `start` on, the total, and whether it is exact."""
    total, is_exact = count_or_estimate(queryset)
    is_past_end = is_exact and start >= total
    return [] if is_past_end else _rows_after_anchor(queryset, start, size), total, is_exact


def _rows_after_anchor(queryset: QuerySet, start: int, size: int) -> list[Any]:
    """Return the rows from `start` on, read from the anchor before them.

    The queryset is ordered by columns and the id, all in the same direction.
    """
    anchors = _anchors(queryset)
    block, rest = divmod(start, ANCHOR_BLOCK_ROWS)
    if block >= len(anchors):
        return []
    columns = _order_columns(queryset)
    is_descending = str(queryset.query.order_by[0]).startswith("-")
    lookup = TupleLessThanOrEqual if is_descending else TupleGreaterThanOrEqual
    from_anchor = lookup(Tuple(*map(F, columns)), tuple(anchors[block]))
    return fetch_rows(queryset.filter(from_anchor)[rest : rest + size])


def _anchors(queryset: QuerySet) -> list[list[Any]]:
    """Return the ordering columns of each block's first row, cached until a product changes."""
    key = hashlib.sha256(str(queryset.query).encode()).hexdigest()
    lookup = store.look_up("products", f"anchors:{key}")
    if lookup.response is not None:
        return json.loads(lookup.response)
    number = Window(RowNumber(), order_by=[str(name) for name in queryset.query.order_by])
    first_rows = queryset.annotate(row=Mod(number, ANCHOR_BLOCK_ROWS)).filter(row=1)
    anchors = list(first_rows.values_list(*_order_columns(queryset)))
    encoded = json.dumps(anchors, cls=JSONEncoder).encode()
    if lookup.has_lock:
        store.store_response(lookup, encoded)
    return json.loads(encoded)


def _order_columns(queryset: QuerySet) -> list[str]:
    return list(dict.fromkeys(str(name).removeprefix("-") for name in queryset.query.order_by))


def _has_one_direction(order: tuple[str, ...]) -> bool:
    """Whether all columns have the same direction, so that SQL can compare rows as tuples."""
    return len({name.startswith("-") for name in order}) == 1
