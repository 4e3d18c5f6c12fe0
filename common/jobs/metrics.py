"""Counters and histograms of jobs, summed over all processes."""

from django.db import transaction

from common.metrics.registry import LONG_SECONDS, counter, histogram

RUNS = counter(
    "jobs_total",
    "Runs by outcome: completed, failed, retried, cancelled, lost (the run lost its lease).",
    "kind",
    "outcome",
)
WAIT_SECONDS = histogram(
    "job_wait_seconds", "Time from due to the start of a run.", LONG_SECONDS, "kind"
)
RUN_SECONDS = histogram("job_run_seconds", "Duration of runs.", LONG_SECONDS, "kind")
SWEPT = counter(
    "jobs_swept_total", "Jobs that a sweep published again or failed.", "kind", "action"
)
SWEEPS = counter("job_sweeps_total", "Sweeps of all kinds of jobs: ok, error.", "outcome")
PUBLISH_FAILURES = counter(
    "job_publish_failures_total", "Messages that the broker did not accept.", "kind"
)


def record_run(kind: str, outcome: str, *, wait_s: float, run_s: float) -> None:
    RUNS.labels(kind, outcome).inc()
    WAIT_SECONDS.labels(kind).observe(max(0.0, wait_s))
    RUN_SECONDS.labels(kind).observe(run_s)


def record_cancellation(kind: str) -> None:
    """Count a cancelled job when the transaction commits."""
    transaction.on_commit(RUNS.labels(kind, "cancelled").inc)


def record_publish_failure(kind: str) -> None:
    PUBLISH_FAILURES.labels(kind).inc()


def record_swept_jobs(kind: str, *, failed: int, published: int) -> None:
    SWEPT.labels(kind, "published").inc(published)
    SWEPT.labels(kind, "failed").inc(failed)
    RUNS.labels(kind, "failed").inc(failed)


def record_sweep(outcome: str) -> None:
    SWEEPS.labels(outcome).inc()
