"""What code calls when something has ended. None of these raise, wait, or cost much."""

from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from django.db import transaction
from prometheus_client import Counter, Histogram

from common.metrics import instruments as i

if TYPE_CHECKING:
    from common.ai.types import CallRecord

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def http_ended(route: str, method: str | None, status: int, seconds: float) -> None:
    """`route` is a template, so that there are no more series than routes."""
    requests, times = _http(route, method if method in METHODS else "other", status)
    requests.inc()
    times.observe(seconds)


@cache
def _http(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    # Kept, as finding them by their labels takes longer than counting.
    return i.HTTP_REQUESTS.labels(route, method, status), i.HTTP_SECONDS.labels(route, method)


def cache_asked(namespace: str, result: str) -> None:
    _cache(namespace, result).inc()


@cache
def _cache(namespace: str, result: str) -> Counter:
    return i.CACHE_REQUESTS.labels(namespace, result)


def grpc_ended(method: str, code: str, seconds: float) -> None:
    i.GRPC_REQUESTS.labels(method, code).inc()
    i.GRPC_SECONDS.labels(method).observe(seconds)


def job_ended(kind: str, outcome: str, *, wait: float, run: float) -> None:
    """`wait` and `run` in seconds, of one try."""
    i.JOBS.labels(kind, outcome).inc()
    i.JOB_WAIT.labels(kind).observe(max(0.0, wait))
    i.JOB_RUN.labels(kind).observe(run)


def job_cancelled(kind: str) -> None:
    transaction.on_commit(i.JOBS.labels(kind, "cancelled").inc)


def job_not_published(kind: str) -> None:
    i.PUBLISH_FAILURES.labels(kind).inc()


def jobs_swept(kind: str, *, failed: int, published: int) -> None:
    i.JOBS_SWEPT.labels(kind, "published").inc(published)
    i.JOBS_SWEPT.labels(kind, "failed").inc(failed)
    i.JOBS.labels(kind, "failed").inc(failed)


def sweep_ended(outcome: str) -> None:
    i.SWEEPS.labels(outcome).inc()


def ai_request_ended(call: "CallRecord") -> None:
    i.AI_REQUESTS.labels(call.model, call.outcome).inc()
    i.AI_SECONDS.labels(call.model).observe(call.duration_ms / 1000)
    ai_used(
        call.model,
        call.cost_usd,
        prompt=call.prompt_tokens,
        completion=call.completion_tokens,
        cached=call.cached_tokens,
        reasoning=call.reasoning_tokens,
    )


def ai_used(model: str, cost_usd: Decimal, **tokens: int) -> None:
    """For itself where it is known only after the request has ended."""
    for kind, count in tokens.items():
        i.AI_TOKENS.labels(model, kind).inc(count)
    i.AI_COST.labels(model).inc(float(cost_usd))


def feed_refreshed(outcome: str) -> None:
    i.FEED_REFRESHES.labels(outcome).inc()
