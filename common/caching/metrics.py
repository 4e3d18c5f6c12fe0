from functools import cache

from prometheus_client import Counter

from common.metrics.registry import counter

REQUESTS = counter(
    "cache_requests_total",
    "Requests that the byte cache may answer: hit, miss, bypass.",
    "namespace",
    "result",
)


def record_request(namespace: str, result: str) -> None:
    _series(namespace, result).inc()


@cache
def _series(namespace: str, result: str) -> Counter:
    return REQUESTS.labels(namespace, result)
