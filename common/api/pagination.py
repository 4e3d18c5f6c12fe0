from math import ceil
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.validation import collect_errors

DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100
# A longer number is past the end of any table, and PostgreSQL refuses to skip that many rows.
MAX_NUMBER_DIGITS = 15


class PageResponse(Response):
    """A page: rows in `items`, and the numbers around them."""


class Pagination(BasePagination):
    """`{"items", "total", "page", "page_size", "total_pages"}`; a page past the end is empty."""

    def paginate_queryset(
        self, queryset: QuerySet | list[Any], request: Request, view: Any = None
    ) -> list[Any]:
        self.page, self.page_size = self.parse_page_parameters(request)
        self.total = len(queryset) if isinstance(queryset, list) else queryset.count()
        start = (self.page - 1) * self.page_size
        # Past the end, do not query: PostgreSQL rejects a very large OFFSET.
        return list(queryset[start : start + self.page_size]) if start < self.total else []

    def parse_page_parameters(self, request: Request) -> tuple[int, int]:
        """Return the page, from 1, and its size; raise `ValidationError` if one is invalid."""
        page, size = collect_errors(
            lambda: _parse_positive_integer(request, "page", default=1),
            lambda: _parse_positive_integer(request, "page_size", default=DEFAULT_PAGE_SIZE),
        )
        return page, min(size, MAX_PAGE_SIZE)

    def get_paginated_response(self, data: Any) -> Response:
        return PageResponse(
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
            "page_size": integer | {"example": DEFAULT_PAGE_SIZE},
            "total_pages": integer | {"example": 5},
        }
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            _parameter("page", "The page number, from 1.", {"minimum": 1, "default": 1}),
            _parameter(
                "page_size",
                f"Rows per page; a larger number than {MAX_PAGE_SIZE} gives {MAX_PAGE_SIZE}. "
                "`per_page` is another name for it.",
                {"minimum": 1, "default": DEFAULT_PAGE_SIZE},
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


def _parse_positive_integer(request: Request, name: str, *, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and text.strip("0")):
        raise ValidationError({name: ["Enter a whole number of at least 1."]})
    return int(text) if len(text) <= MAX_NUMBER_DIGITS else 10**MAX_NUMBER_DIGITS
