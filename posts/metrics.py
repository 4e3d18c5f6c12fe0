"""The metrics of the mirror."""

from collections.abc import Iterator

from django.conf import settings
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from common.metrics.registry import counter
from posts.models import Feed

REFRESHES = counter(
    "feed_refreshes_total", "Refreshes of the feed: updated, unchanged, failed.", "outcome"
)


def record_refresh(outcome: str) -> None:
    REFRESHES.labels(outcome).inc()


def collect() -> Iterator[Metric]:
    """Yield the age and size of the mirror, or nothing if there is none yet."""
    feed = Feed.objects.exclude(fresh_at=None).first()
    if feed is None or not settings.POSTS_API_URL:
        return
    age_s = (timezone.now() - feed.fresh_at).total_seconds()
    yield GaugeMetricFamily(
        "bureau_feed_age_seconds",
        "Seconds since the posts were last known to be fresh.",
        value=max(0.0, age_s),
    )
    yield GaugeMetricFamily("bureau_feed_posts", "Posts in the mirror.", value=feed.post_count)
