from math import ceil
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.validation import together

DEFAULT_SIZE = 10
LARGEST_SIZE = 100


class Pagination(BasePagination):
    """`{"items", "total", "page", "page_size", "total_pages"}`; a page past the end is empty."""

    def paginate_queryset(
        self, queryset: QuerySet | list[Any], request: Request, view: Any = None
    ) -> list[Any]:
        self.page, self.page_size = self.asked_for(request)
        self.total = len(queryset) if isinstance(queryset, list) else queryset.count()
        start = (self.page - 1) * self.page_size
        # Past the end nothing is asked of the database, whatever size the offset would have.
        return list(queryset[start : start + self.page_size]) if start < self.total else []

    def asked_for(self, request: Request) -> tuple[int, int]:
        """The page, from 1, and its size; raises `ValidationError`."""
        size_name = "page_size" if "page_size" in request.query_params else "per_page"
        page, size = together(
            lambda: _positive(request, "page", default=1),
            lambda: _positive(request, size_name, default=DEFAULT_SIZE),
        )
        return page, min(size, LARGEST_SIZE)

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "items": data,
                "total": self.total,
                "page": self.page,
                "page_size": self.page_size,
                "total_pages": ceil(self.total / self.page_size),
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        integer = {"type": "integer"}
        properties = {
            "items": schema,
            "total": integer | {"example": 41},
            "page": integer | {"example": 1},
            "page_size": integer | {"example": DEFAULT_SIZE},
            "total_pages": integer | {"example": 5},
        }
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            _parameter("page", "Which page, from 1.", {"minimum": 1, "default": 1}),
            _parameter(
                "page_size",
                f"Rows a page; more than {LARGEST_SIZE} is cut to {LARGEST_SIZE}. "
                "`per_page` means the same.",
                {"minimum": 1, "default": DEFAULT_SIZE},
            ),
        ]


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "integer"} | schema,
    }


def _positive(request: Request, name: str, *, default: int) -> int:
    given = request.query_params.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and given.strip("0")):
        raise ValidationError({name: ["A whole number from 1 is expected."]})
    # Longer numbers are all past any end; Python refuses to read more than 4,300 digits.
    return int(given[:18]) if len(given) <= 18 else 10**18
