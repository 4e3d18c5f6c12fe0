"""Mirroring the feed; if a refresh fails, the mirrored posts stay."""

import time
from contextlib import suppress
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from common.caching.invalidation import invalidate_on_commit
from common.events import record
from common.jobs import JobFailed, LostLease, RetryLater, runner
from common.jobs.status import JobStatus
from common.single_flight import SingleFlight
from posts import fetching, parsing
from posts.errors import FeedError, FeedUnavailable, NoFeed
from posts.fetching import Payload, Validators
from posts.metrics import record_refresh
from posts.models import Feed, Post
from posts.parsing import FeedContents, FeedItem

log = structlog.get_logger(__name__)

NAMESPACE = "posts"
# Posts that a suspect payload lacks are deleted after this many suspect payloads in a row.
MAX_SUSPECT_PAYLOADS = 3
BATCH_ROWS = 500
# How long a request waits for the first refresh.
FIRST_REFRESH_TIMEOUT_S = 3.0
POLL_INTERVAL_S = 0.1
DEFAULT_RETRY_AFTER_S = 2.0


def has_feed() -> bool:
    """Return whether there is a feed to mirror; without one, nothing is ever fetched."""
    return bool(settings.POSTS_API_URL)


def ensure_mirror() -> Feed | None:
    """Return the feed's row, or None without a feed; if there is no mirror yet, create it.

    Raises `FeedUnavailable` if that is impossible or takes too long.
    """
    if not has_feed():
        return None
    feed = Feed.objects.current()
    if feed and feed.fresh_at:
        return feed
    if feed is None or not _is_waiting_for_retry(feed):
        with suppress(TimeoutError):
            _first_refresh.call(timeout_s=FIRST_REFRESH_TIMEOUT_S)
        feed = Feed.objects.current()
    if feed is None or not feed.fresh_at:
        raise FeedUnavailable(wait=_seconds_until_retry(feed))
    return feed


@transaction.atomic
def request_refresh(*, by: User) -> None:
    """Queue a refresh that starts at once; raise `NoFeed` without a feed."""
    if not has_feed():
        raise NoFeed
    feed = Feed.objects.request_refresh(immediately=True)
    record("feed.refresh_requested", by=by, target=feed)


def _run_first_refresh() -> None:
    """Run the job in this process, or wait until another process has run it."""
    try:
        feed = Feed.objects.request_refresh()
        runner.run(Feed, feed.pk)
        while Feed.objects.filter(pk=feed.pk, status=JobStatus.IN_PROGRESS).exists():
            time.sleep(POLL_INTERVAL_S)
    finally:
        connection.close()


_first_refresh = SingleFlight("first-posts", _run_first_refresh)


def _is_waiting_for_retry(feed: Feed) -> bool:
    return feed.status == JobStatus.QUEUED and feed.run_after > timezone.now()


def _seconds_until_retry(feed: Feed | None) -> float:
    if feed is None or not _is_waiting_for_retry(feed):
        return DEFAULT_RETRY_AFTER_S
    return (feed.run_after - timezone.now()).total_seconds()


def refresh(feed: Feed) -> None:
    """Fetch the feed and store its valid posts.

    Raises `RetryLater` if the feed is down, slow or invalid; the posts then stay as they are.
    Raises `JobFailed` without a feed.
    """
    if not has_feed():
        raise JobFailed(str(NoFeed()))
    try:
        payload = fetching.fetch(Validators(feed.url, feed.etag, feed.last_modified))
        contents = parsing.parse(payload.body) if payload else None
    except FeedError as error:
        _store_failure(feed, f"The feed {error}")
        raise RetryLater(f"The feed {error}", delay=error.retry_after) from None
    if payload is None or contents is None:
        outcome = _store_unchanged(feed)
    else:
        outcome = _store_contents(feed, payload, contents)
    record_refresh(outcome)


def _store_failure(feed: Feed, failure: str) -> None:
    record_refresh("failed")
    with invalidate_on_commit(NAMESPACE):
        _lock(feed)
        Feed.objects.filter(pk=feed.pk).update(failed_at=Now(), failure=failure[:500])


def _store_unchanged(feed: Feed) -> str:
    """Mark the mirror as fresh: the feed has not changed."""
    with invalidate_on_commit(NAMESPACE):
        _lock(feed)
        _store_success(feed)
    return "unchanged"


def _store_contents(feed: Feed, payload: Payload, contents: FeedContents) -> str:
    """Store the posts of the payload and return the refresh's outcome.

    Stored posts that a complete payload lacks are deleted. A payload that lacks more than half of
    them is suspect, because the feed may have lost them: its posts are stored, but the missing ones
    are deleted only after `MAX_SUSPECT_PAYLOADS` suspect payloads in a row.
    """
    if contents.rejected:
        log.warning("feed_items_rejected", reasons=dict(contents.rejected))
    with invalidate_on_commit(NAMESPACE):
        stored = _lock(feed)
        posts = {post.id: post for post in Post.objects.all()}
        changed = [item for item in contents.items if _differs(posts.get(item.id), item)]
        missing = posts.keys() - {item.id for item in contents.items}
        suspect_payloads = _count_suspect_payloads(stored, payload, len(missing), len(posts))
        is_trusted = contents.is_complete and not 0 < suspect_payloads < MAX_SUSPECT_PAYLOADS
        deleted = missing if is_trusted else set()
        _write_posts(changed)
        Post.objects.filter(id__in=deleted).delete()
        # With validators the feed would not send the same payload again: it would stay suspect.
        validators = payload.validators if is_trusted else Validators(payload.validators.url)
        _store_success(
            feed,
            url=validators.url,
            etag=validators.etag,
            last_modified=validators.last_modified,
            post_count=Post.objects.count(),
            rejected_count=contents.rejected.total(),
            suspect_payloads=0 if is_trusted else suspect_payloads,
        )
    return "updated" if changed or deleted else "unchanged"


def _lock(feed: Feed) -> Feed:
    """Lock and return the stored row; raises `LostLease` if another run has taken over."""
    stored = Feed.objects.select_for_update().filter(pk=feed.pk, run_id=feed.run_id).first()
    if stored is None:
        raise LostLease
    return stored


def _store_success(feed: Feed, **columns: Any) -> None:
    Feed.objects.filter(pk=feed.pk).update(fresh_at=Now(), failed_at=None, failure="", **columns)


def _differs(post: Post | None, item: FeedItem) -> bool:
    return post is None or (post.user_id, post.title, post.body) != (
        item.user_id,
        item.title,
        item.body,
    )


def _count_suspect_payloads(feed: Feed, payload: Payload, missing: int, stored: int) -> int:
    """Return how many payloads in a row were suspect, up to this one; 0 if it is not suspect.

    It is if more than half of the stored posts are missing, although the address is the same.
    """
    is_same_address = feed.url in ("", payload.validators.url)
    return feed.suspect_payloads + 1 if is_same_address and missing * 2 > stored else 0


def _write_posts(items: list[FeedItem]) -> None:
    posts = [Post(id=i.id, user_id=i.user_id, title=i.title, body=i.body) for i in items]
    Post.objects.bulk_create(
        posts,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["user_id", "title", "body", "updated_at"],
        batch_size=BATCH_ROWS,
    )
