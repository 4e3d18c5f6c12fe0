from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.pagination import PageResponse, Pagination
from common.api.validation import collect_errors
from common.events.models import Event


class HistoryGone(APIException):
    """410: the event after which the client wants to read on is not kept any more."""

    status_code = status.HTTP_410_GONE
    default_detail = (
        "The event of `since` is unknown or no longer kept. Load what you need from the lists, and "
        "read on without `since`."
    )
    default_code = "history_gone"


def parse_event_id(text: str) -> UUID:
    """Return the id of an event; raises `ValidationError` for `since` if it is not one."""
    try:
        return UUID(text)
    except ValueError:
        message = "Must be the `id` of an event."
        raise ValidationError({"since": [ErrorDetail(message, "invalid")]}) from None


class EventPagination(Pagination):
    """`{"items", "next", "has_more"}`: the events after `since`, oldest first."""

    def paginate_queryset(
        self,
        queryset: QuerySet,  # type: ignore[override]
        request: Request,
        view: Any = None,
    ) -> list[Event]:
        since, (_, size) = collect_errors(
            lambda: _parse_since(request), lambda: self.parse_page_parameters(request)
        )
        events: Any = queryset.settled()  # type: ignore[attr-defined]
        if since:
            event = Event.objects.visible_to(request.user).filter(id=since).first()
            if event is None:
                raise HistoryGone
            events = events.after(event)
        rows = list(events[: size + 1])
        self.has_more = len(rows) > size
        self.next = rows[:size][-1].id if rows else since
        return rows[:size]

    def get_paginated_response(self, data: Any) -> Response:
        return PageResponse({"items": data, "next": self.next, "has_more": self.has_more})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties = {
            "items": schema,
            "next": {
                "type": "string",
                "format": "uuid",
                "nullable": True,
                "description": "The `since` of the next request; null before the first event.",
            },
            "has_more": {"type": "boolean", "description": "Whether there are more events now."},
        }
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        since = {
            "name": "since",
            "in": "query",
            "required": False,
            "description": "The `id` of an event: only those after it. Without it, from the start.",
            "schema": {"type": "string", "format": "uuid"},
        }
        _, page_size = super().get_schema_operation_parameters(view)
        return [since, page_size]


def _parse_since(request: Request) -> UUID | None:
    text = request.query_params.get("since", "")
    return parse_event_id(text) if text else None
