from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display

from accounts.admin import ReadOnlyAdmin
from common.jobs.admin import STATUS_COLOURS
from posts.models import Feed, Post


class OperatorsAdmin(ReadOnlyAdmin):
    """Rows that no company owns, for the operators of the installation to look at."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model._default_manager.all()

    def has_view_permission(self, request: HttpRequest, *_: Any) -> bool:
        return request.user.is_superuser

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser


@admin.register(Post)
class PostAdmin(OperatorsAdmin):
    list_display = ("id", "title", "user_id", "updated_at")
    search_fields = ("title", "body")
    ordering = ("id",)


@admin.register(Feed)
class FeedAdmin(OperatorsAdmin):
    list_display = ("shown_feed", "shown_copy", "shown_status", "posts", "fresh_at", "failure")
    fieldsets = (
        ("The copy", {"fields": ("posts", "refused", "fresh_at", "etag", "last_modified", "url")}),
        ("Trouble", {"fields": ("failed_at", "failure", "doubts")}),
        (
            "The refresh",
            {"fields": ("status", "attempts", "error", "started_at", "finished_at", "run_after")},
        ),
    )
    actions = ("refresh_now",)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Before the first refresh there is no row that one could be asked for.
        Feed.objects.get_or_create(name=Feed.NAME)
        return super().changelist_view(request, *args, **kwargs)

    @display(description="Feed")
    def shown_feed(self, feed: Feed) -> str:
        return str(feed)

    @display(description="Copy", label={"fresh": "success", "failing": "danger", "none": "warning"})
    def shown_copy(self, feed: Feed) -> str:
        if feed.fresh_at is None:
            return "none"
        return "failing" if feed.failed_at else "fresh"

    @display(description="Refresh", label=STATUS_COLOURS)
    def shown_status(self, feed: Feed) -> str:
        return feed.status

    @action(description="Refresh now")
    def refresh_now(self, request: HttpRequest, _feeds: QuerySet) -> None:
        Feed.objects.ask_for_refresh(now=True)
        messages.success(request, "A refresh is under way.")
