"""The headers `Age` and `X-Feed-Status`, also for responses from the cache.

`Age` grows while a response is cached, so it is computed for each request. For that the cache
stores metadata with the response: `make_cache_metadata` writes it, `headers` reads it.
"""

import time

from django.conf import settings

from posts.models import Feed

FAILING, WORKING = "failing", "working"


def make_cache_metadata(feed: Feed) -> str:
    """Return when the mirror last matched the feed, and whether the feed works."""
    assert feed.fresh_at is not None
    return f"{feed.fresh_at.timestamp():.3f} {FAILING if feed.failed_at else WORKING}"


def headers(metadata: str) -> dict[str, str]:
    """Return `Age` in seconds, and `X-Feed-Status`: `fresh` or `stale`.

    The posts are stale if the last refresh failed, or if two refreshes in a row did not run.
    """
    fresh_at, state = metadata.split()
    age = max(0, int(time.time() - float(fresh_at)))
    is_fresh = state == WORKING and age <= 2 * settings.POSTS_REFRESH.total_seconds()
    return {"Age": str(age), "X-Feed-Status": "fresh" if is_fresh else "stale"}
