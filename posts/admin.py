from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display

from accounts.admin import SuperuserReadOnlyAdmin
from common.jobs.admin import STATUS_COLOURS
from posts import services
from posts.errors import NoFeed
from posts.models import Feed, Post


@admin.register(Post)
class PostAdmin(SuperuserReadOnlyAdmin):
    list_display = ("id", "title", "user_id", "updated_at")
    search_fields = ("title", "body")
    ordering = ("id",)


@admin.register(Feed)
class FeedAdmin(SuperuserReadOnlyAdmin):
    list_display = (
        "display_feed",
        "display_mirror",
        "display_status",
        "post_count",
        "fresh_at",
        "failure",
    )
    fieldsets = (
        (
            "Mirror",
            {
                "fields": (
                    "post_count",
                    "rejected_count",
                    "fresh_at",
                    "etag",
                    "last_modified",
                    "url",
                )
            },
        ),
        ("Problems", {"fields": ("failed_at", "failure", "suspect_payloads")}),
        (
            "Refresh",
            {"fields": ("status", "attempts", "error", "started_at", "finished_at", "run_after")},
        ),
    )
    actions = ("refresh_now",)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # The action needs a row to select, also before the first refresh.
        Feed.objects.get_or_create(name=Feed.NAME)
        return super().changelist_view(request, *args, **kwargs)

    @display(description="Feed")
    def display_feed(self, feed: Feed) -> str:
        return str(feed)

    @display(
        description="Mirror",
        label={"fresh": "success", "failing": "danger", "none": "warning", "no feed": "info"},
    )
    def display_mirror(self, feed: Feed) -> str:
        if not services.has_feed():
            return "no feed"
        if feed.fresh_at is None:
            return "none"
        return "failing" if feed.failed_at else "fresh"

    @display(description="Refresh", label=STATUS_COLOURS)
    def display_status(self, feed: Feed) -> str:
        return feed.status

    @action(description="Refresh now")
    def refresh_now(self, request: Any, _feeds: QuerySet) -> None:
        try:
            services.request_refresh(by=request.user)
        except NoFeed as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, "A refresh is queued.")
