from typing import Any

from rest_framework.serializers import DecimalField

from common.api.pagination import Pagination
from notes.usage_serializers import UsageTotalsSerializer


class UsagePagination(Pagination):
    """The usual envelope with `totals`, the sums over all pages, which the view adds."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        envelope = super().get_paginated_response_schema(schema)
        properties: dict[str, Any] = {
            name: {"type": "string", "format": "decimal"}
            if isinstance(field, DecimalField)
            else {"type": "integer"}
            for name, field in UsageTotalsSerializer().fields.items()
        }
        envelope["properties"]["totals"] = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "description": "The sums over all requested days, on every page.",
        }
        envelope["required"].append("totals")
        return envelope
