"""How fresh the answers are, told truly also of those that come from the cache."""

import time

from django.conf import settings

from posts.models import Feed


def note_of(feed: Feed) -> str:
    """What is kept beside a cached answer."""
    assert feed.fresh_at is not None
    return f"{feed.fresh_at.timestamp():.3f} {'failing' if feed.failed_at else 'well'}"


def headers(note: str) -> dict[str, str]:
    """`Age` in seconds, and `stale` since the feed has failed or has not been asked for long."""
    fresh_at, state = note.split()
    age = max(0, int(time.time() - float(fresh_at)))
    is_fresh = state == "well" and age <= 2 * settings.POSTS_REFRESH.total_seconds()
    return {"Age": str(age), "X-Feed-Status": "fresh" if is_fresh else "stale"}
