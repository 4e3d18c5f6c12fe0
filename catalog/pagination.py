"""Pages of a table of any size: the total and a page far down cost no more than the first page."""

import json
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.pagination import Pagination

# Up to here rows are counted; beyond, the planner's estimate serves and the answer says so.
COUNTED = 10_000


class CatalogPagination(Pagination):
    """The usual envelope, and `total_exact`: whether `total` was counted or estimated."""

    def paginate_queryset(
        self, queryset: QuerySet, request: Request, view: Any = None
    ) -> list[Any]:
        page, size = self.asked_for(request)
        total, exact = total_of(queryset)
        self.show(page, size, total, exact=exact)
        start = (self.page - 1) * self.page_size
        if self.exact and start >= self.total:
            return []
        return list(queryset[start : start + self.page_size])

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
            "description": f"False where `total` is an estimate, from {COUNTED} rows on.",
        }
        return envelope


def total_of(queryset: QuerySet) -> tuple[int, bool]:
    """How many rows there are, and whether they were counted or, being many, estimated."""
    counted = queryset.order_by()[: COUNTED + 1].count()
    if counted <= COUNTED:
        return counted, True
    return max(estimate(queryset), counted), False


def estimate(queryset: QuerySet) -> int:
    """The number of rows that the planner expects."""
    plan = json.loads(queryset.order_by().explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])
