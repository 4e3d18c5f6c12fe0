from typing import Any

from common.api.pagination import Pagination
from notes.serializers import UsageTotalsSerializer


class UsagePagination(Pagination):
    """The usual envelope, and `totals`: the sums over all pages, which the view adds."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        envelope = super().get_paginated_response_schema(schema)
        figures: dict[str, Any] = {
            name: {"type": "integer"} for name in UsageTotalsSerializer().fields
        }
        figures["cost_usd"] = {"type": "string", "format": "decimal"}
        envelope["properties"]["totals"] = {
            "type": "object",
            "properties": figures,
            "required": list(figures),
            "description": "Of all the days that were asked for, on whatever page.",
        }
        return envelope
