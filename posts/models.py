from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from common.events import Audience, EventKind
from common.jobs import Job
from posts.querysets import FeedQuerySet

MAX_RETRY_DELAY_WITHOUT_MIRROR_S = 15.0


class Post(models.Model):
    """A post of the feed, under the feed's own id."""

    id = models.BigIntegerField(primary_key=True)
    user_id = models.BigIntegerField(db_index=True)
    title = models.TextField(blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.title


class Feed(Job):
    """The state of the mirror, and the job that refreshes it: one row, requeued for each refresh.

    The mirror is the rows of `Post`.

    fresh_at: when the mirror last matched the feed; null if there is no mirror yet.
    failed_at: when the last refresh failed; null if it succeeded.
    suspect_payloads: how many of the last payloads, without interruption, lacked most of the posts.
    """

    event_kind: ClassVar[EventKind] = EventKind(
        name="feed", actions="refresh_requested", audience=Audience.ADMINS, company="", label="name"
    )

    NAME: ClassVar[str] = "posts"
    max_attempts: ClassVar[int] = 20
    queue_name = "control"

    name = models.CharField(max_length=50, unique=True, editable=False)
    url = models.TextField(blank=True, editable=False)
    etag = models.CharField(max_length=500, blank=True, editable=False)
    last_modified = models.CharField(max_length=500, blank=True, editable=False)
    fresh_at = models.DateTimeField(null=True, editable=False)
    failed_at = models.DateTimeField(null=True, editable=False)
    failure = models.CharField(max_length=500, blank=True, editable=False)
    post_count = models.PositiveIntegerField("posts", default=0, editable=False)
    rejected_count = models.PositiveIntegerField("rejected posts", default=0, editable=False)
    suspect_payloads = models.PositiveSmallIntegerField(default=0, editable=False)

    objects = FeedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(Job.Meta):
        verbose_name = verbose_name_plural = "feed"

    def __str__(self) -> str:
        return "Feed of posts"

    def backoff(self) -> float:
        """Return the seconds until the next run, at most the time between two refreshes.

        Without a mirror the limit is shorter, so that a corrected address takes effect soon.
        """
        limit = settings.POSTS_REFRESH.total_seconds()
        if self.fresh_at is None:
            limit = min(limit, MAX_RETRY_DELAY_WITHOUT_MIRROR_S)
        return min(super().backoff(), limit)
