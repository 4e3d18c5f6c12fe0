from collections.abc import Iterator

from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from integrations.audit.chain import unchained_events


def collect() -> Iterator[Metric]:
    """Yield the age of the oldest event that is not in its chain yet; 0 without one."""
    oldest = unchained_events().values_list("occurred_at", flat=True).first()
    age_s = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield GaugeMetricFamily(
        "bureau_audit_unchained_seconds",
        "How long the oldest event waits for its place in the chain of the audit log.",
        value=max(0.0, age_s),
    )
