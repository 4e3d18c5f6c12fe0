"""Declare counters, histograms and gauges.

A module that records something declares its own, mostly in a `metrics.py` beside it.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from common.metrics import multiprocess

# Holds the values only where the processes cannot share files; see `multiprocess`.
REGISTRY = CollectorRegistry()

# Upper limits of histogram buckets in seconds; a cached response takes less than 1 ms.
REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

# Each value finds its storage when it is declared, so this has to come first.
multiprocess.enable()


def counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"bureau_{name}", text, labels, registry=REGISTRY)


def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"bureau_{name}", text, labels, buckets=buckets, registry=REGISTRY)


def gauge(name: str, text: str) -> Gauge:
    """Declare a gauge that is summed over the living processes."""
    return Gauge(f"bureau_{name}", text, registry=REGISTRY, multiprocess_mode="livesum")
