from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from common.events.models import Event


def collect() -> Iterator[Metric]:
    """Yield how far the readers of events are held back by a long transaction."""
    yield GaugeMetricFamily(
        "bureau_events_lag_seconds",
        "How long the oldest event has waited for an older transaction to end.",
        value=Event.objects.lag_seconds(),
    )
