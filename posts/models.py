from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from common.jobs import Job
from posts.querysets import FeedQuerySet

# Seconds.
WITHOUT_A_COPY = 15.0


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
    """The state of the mirror, and the job that refreshes it: one row, queued again each time.

    The posts are as fresh as `fresh_at` says: then the feed was read whole or said that nothing
    has changed. `failed_at` is when the last refresh failed, nothing where it did not.
    """

    NAME: ClassVar[str] = "posts"
    max_attempts: ClassVar[int] = 20

    name = models.CharField(max_length=50, unique=True, editable=False)
    url = models.TextField(blank=True, editable=False)
    etag = models.CharField(max_length=500, blank=True, editable=False)
    last_modified = models.CharField(max_length=500, blank=True, editable=False)
    fresh_at = models.DateTimeField(null=True, editable=False)
    failed_at = models.DateTimeField(null=True, editable=False)
    failure = models.CharField(max_length=500, blank=True, editable=False)
    posts = models.PositiveIntegerField(default=0, editable=False)
    refused = models.PositiveIntegerField("posts refused", default=0, editable=False)
    doubts = models.PositiveSmallIntegerField(default=0, editable=False)

    objects = FeedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(Job.Meta):
        verbose_name = verbose_name_plural = "feed"

    def __str__(self) -> str:
        return "The posts' mirror"

    def backoff(self) -> float:
        """Never longer than until beat would ask for the next refresh anyway, and short as long
        as there is no copy at all: who has mended the feed's address waits for the first one."""
        longest = settings.POSTS_REFRESH.total_seconds()
        return min(super().backoff(), longest if self.fresh_at else min(longest, WITHOUT_A_COPY))
