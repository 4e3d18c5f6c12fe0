from functools import cache

from prometheus_client import Counter, Histogram

from common.metrics.registry import REQUEST_SECONDS, counter, histogram

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

REQUESTS = counter("http_requests_total", "HTTP requests.", "route", "method", "status")
DURATION = histogram(
    "http_request_duration_seconds",
    "Duration of HTTP requests.",
    REQUEST_SECONDS,
    "route",
    "method",
)


def record_http_request(route: str, method: str | None, status: int, seconds: float) -> None:
    """Count a request. `route` is a URL template, which limits the number of series."""
    requests, duration = _series(route, method if method in METHODS else "other", status)
    requests.inc()
    duration.observe(seconds)


@cache
def _series(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    # The look-up by labels takes longer than the counting.
    return REQUESTS.labels(route, method, status), DURATION.labels(route, method)
