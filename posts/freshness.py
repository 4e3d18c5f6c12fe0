"""Headers that tell how fresh the posts are, also for answers from the cache.

`to_note` stores the state of the feed beside a cached answer; `headers` reads it.
"""

import time

from django.conf import settings

from posts.models import Feed

FAILING, WORKING = "failing", "working"


def to_note(feed: Feed) -> str:
    """Return the note to store beside a cached answer."""
    assert feed.fresh_at is not None
    return f"{feed.fresh_at.timestamp():.3f} {FAILING if feed.failed_at else WORKING}"


def headers(note: str) -> dict[str, str]:
    """Return `Age` in seconds, and `X-Feed-Status`.

    It is `stale` if the feed has failed since, or if no refresh has been made for too long.
    """
    fresh_at, state = note.split()
    age = max(0, int(time.time() - float(fresh_at)))
    is_fresh = state == WORKING and age <= 2 * settings.POSTS_REFRESH.total_seconds()
    return {"Age": str(age), "X-Feed-Status": "fresh" if is_fresh else "stale"}
