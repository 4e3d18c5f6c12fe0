"""Bringing the mirror up to date, and never losing the last good copy on the way."""

import time
from contextlib import suppress
from typing import Any

import structlog
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from common.caching.invalidation import invalidate_on_commit
from common.jobs import LostLease, RetryLater, runner
from common.jobs.status import JobStatus
from common.single_flight import SingleFlight
from posts import fetching, parsing
from posts.errors import FeedError, NoPosts
from posts.fetching import Payload, Validators
from posts.metrics import record_refresh
from posts.models import Feed, Post
from posts.parsing import Contents, Item

log = structlog.get_logger(__name__)

NAMESPACE = "posts"
# So many payloads in a row that lack more than half of the posts are believed.
BELIEVED = 3
BATCH = 500
# Seconds that a request waits for the very first copy.
PATIENCE = 3.0
TICK = 0.1


def mirror() -> Feed:
    """The mirror with a copy in it; the first to ask for one has it fetched.

    Raises `NoPosts` where the feed has never given one and does not give it soon.
    """
    feed = Feed.objects.state()
    if feed and feed.fresh_at:
        return feed
    if feed is None or not _is_put_off(feed):
        with suppress(TimeoutError):
            _first_copy.call(timeout_s=PATIENCE)
        feed = Feed.objects.state()
    if feed is None or not feed.fresh_at:
        raise NoPosts(wait=_seconds_until(feed))
    return feed


def _fetch_first() -> None:
    """Do the job here and now, without a worker; another who does it already is waited for."""
    try:
        feed = Feed.objects.ask_for_refresh()
        runner.run(Feed, feed.pk)
        while Feed.objects.filter(pk=feed.pk, status=JobStatus.IN_PROGRESS).exists():
            time.sleep(TICK)
    finally:
        connection.close()


_first_copy = SingleFlight("first-posts", _fetch_first)


def _is_put_off(feed: Feed) -> bool:
    return feed.status == JobStatus.QUEUED and feed.run_after > timezone.now()


def _seconds_until(feed: Feed | None) -> float:
    """Until the next try, as far as that is known."""
    if feed is None or not _is_put_off(feed):
        return 2.0
    return (feed.run_after - timezone.now()).total_seconds()


def refresh(feed: Feed) -> None:
    """Ask the feed and take what is good of its answer.

    Raises `RetryLater` for a feed that is down, slow, or sends what can't be taken: the posts are
    then as they were.
    """
    try:
        payload = fetching.fetch(Validators(feed.url, feed.etag, feed.last_modified))
        contents = parsing.read(payload.body) if payload else None
    except FeedError as error:
        _note_failure(feed, f"The feed {error}")
        raise RetryLater(f"The feed {error}", delay=error.retry_after) from None
    outcome = _confirm(feed) if payload is None else _take(feed, payload, contents or Contents())
    record_refresh(outcome)


def _note_failure(feed: Feed, failure: str) -> None:
    record_refresh("failed")
    with invalidate_on_commit(NAMESPACE):
        _locked(feed)
        Feed.objects.filter(pk=feed.pk).update(failed_at=Now(), failure=failure[:500])


def _confirm(feed: Feed) -> str:
    """Nothing has changed upstream: the copy is as fresh as if it had been read again."""
    with invalidate_on_commit(NAMESPACE):
        _locked(feed)
        _store(feed)
    return "unchanged"


def _take(feed: Feed, payload: Payload, contents: Contents) -> str:
    """Bring the posts to what the payload holds.

    What has gone upstream goes here too, if the payload is whole. One that lacks more than half
    of our posts may be a feed that has lost them: what it has is taken, and what it lacks goes
    only when it was lacking `BELIEVED` times in a row.
    """
    if contents.refused:
        log.warning("feed_items_refused", reasons=dict(contents.refused))
    with invalidate_on_commit(NAMESPACE):
        stored = _locked(feed)
        known = {post.id: post for post in Post.objects.all()}
        changed = [item for item in contents.items if _differs(known.get(item.id), item)]
        gone = known.keys() - {item.id for item in contents.items}
        doubts = stored.doubts + 1 if _is_doubtful(stored, payload, len(gone), len(known)) else 0
        is_believed = contents.is_whole and (doubts == 0 or doubts >= BELIEVED)
        _write(changed)
        if gone and is_believed:
            Post.objects.filter(id__in=gone).delete()
        # With validators the same payload would not come again, and the doubt would never end.
        validators = payload.validators if is_believed else Validators(payload.validators.url)
        _store(
            feed,
            url=validators.url,
            etag=validators.etag,
            last_modified=validators.last_modified,
            posts=Post.objects.count(),
            refused=contents.refused.total(),
            doubts=0 if is_believed else doubts,
        )
    return "updated" if changed or (gone and is_believed) else "unchanged"


def _locked(feed: Feed) -> Feed:
    """The row as it is, held until the end; `LostLease` where another run has taken over."""
    mine = Feed.objects.select_for_update().filter(pk=feed.pk, run_id=feed.run_id).first()
    if mine is None:
        raise LostLease
    return mine


def _store(feed: Feed, **columns: Any) -> None:
    Feed.objects.filter(pk=feed.pk).update(fresh_at=Now(), failed_at=None, failure="", **columns)


def _differs(post: Post | None, item: Item) -> bool:
    return post is None or (post.user_id, post.title, post.body) != (
        item.user_id,
        item.title,
        item.body,
    )


def _is_doubtful(feed: Feed, payload: Payload, gone: int, known: int) -> bool:
    """Of another address other posts are to be expected."""
    return feed.url in ("", payload.validators.url) and gone * 2 > known


def _write(items: list[Item]) -> None:
    posts = [Post(id=i.id, user_id=i.user_id, title=i.title, body=i.body) for i in items]
    Post.objects.bulk_create(
        posts,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["user_id", "title", "body", "updated_at"],
        batch_size=BATCH,
    )
