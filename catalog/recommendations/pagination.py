from typing import Any

from rest_framework.response import Response

from common.api.pagination import Pagination


class RecommendationPagination(Pagination):
    """The usual envelope with the only page there is; the parameters are those of the view."""

    def get_response(self, items: list[Any], *, limit: int) -> Response:
        self.page, self.page_size, self.total = 1, limit, len(items)
        return self.get_paginated_response(items)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return []
