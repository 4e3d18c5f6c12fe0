from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import formats
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin

from common.events.models import Event

EVENTS_PER_PAGE = 100
HEADERS = ["Time", "Event", "By", "Outcome", "Changes", "Request"]
HIDDEN_CHANGE = {"old": None, "new": None}
OUTCOME_COLOURS = {"success": "success", "denied": "danger", "failed": "warning"}


def with_actor_names(events: Any) -> Any:
    """Annotate events with `actor_name`, the username of the user who did it."""
    users = get_user_model()._default_manager.filter(pk=OuterRef("actor_id"))
    return events.annotate(actor_name=Subquery(users.values("username")[:1]))


def describe_changes(changes: Mapping[str, Any]) -> str:
    """Return `price: 1.50 → 2.00; raw_text`: values that are not shown are left out."""
    return "; ".join(
        name if change == HIDDEN_CHANGE else f"{name}: {change['old']} → {change['new']}"
        for name, change in changes.items()
    )


class EventHistoryAdmin(ModelAdmin):
    """Base of all admin pages: "History" shows the row's events, also those of the API.

    Django's own log is neither shown nor written: it knows only what this site does.
    """

    object_history_template = "admin/event_history.html"

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        paginator = self.get_paginator(request, self._get_events(request, row), EVENTS_PER_PAGE)
        page = paginator.get_page(request.GET.get(PAGE_VAR))
        context = {
            **self.admin_site.each_context(request),
            "title": f"History: {row}",
            "object": row,
            "opts": self.opts,
            "table": {"headers": HEADERS, "rows": [_describe(event) for event in page]},
            "page": page,
            "page_range": paginator.get_elided_page_range(page.number),
            "page_var": PAGE_VAR,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        return TemplateResponse(request, self.object_history_template, context)

    def _get_events(self, request: HttpRequest, row: Any) -> QuerySet:
        """Return the row's events that the user may see, the newest first."""
        kind = getattr(row, "event_kind", None)
        if kind is None:
            return Event.objects.none()
        events = Event.objects.visible_to(request.user)
        of_row = events.filter(target_type=kind.name, target_id=str(row.pk))
        return with_actor_names(of_row).order_by("-sequence")

    def log_addition(self, *_: Any) -> None:
        """Write nothing: the change has an event."""

    def log_change(self, *_: Any) -> None:
        """Write nothing: the change has an event."""

    def log_deletions(self, *_: Any) -> None:
        """Write nothing: the change has an event."""


def _describe(event: Any) -> list[str]:
    """Return the cells of an event; the row exists, so what describes a person may be shown."""
    changes = (event.target_values or {}).get("changes", event.changes)
    return [
        formats.date_format(event.occurred_at, "DATETIME_FORMAT"),
        event.action,
        event.actor_name or event.get_actor_type_display(),
        event.get_outcome_display(),
        describe_changes(changes),
        event.request_id,
    ]


admin.site.index_title = "Start"
admin.site.unregister(TaskResult)
admin.site.unregister(GroupResult)


@admin.register(TaskResult)
class ThemedTaskResultAdmin(TaskResultAdmin, EventHistoryAdmin):
    """Celery's task results, in the theme of this admin site."""
