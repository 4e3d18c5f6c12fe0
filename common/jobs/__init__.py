"""Durable background jobs: a job is a row, and a message only says "look at row X".

Subclass `Job`, register a handler with `@handles(...)` in the app's `tasks.py`, and create rows
with `objects.enqueue(...)`. A worker that
dies, a broker that loses its messages and a message that comes twice change nothing in the
outcome: what counts is decided by conditional UPDATEs on the row.
"""

from common.jobs.errors import JobFailed, LostLease, Postponed, RetryLater
from common.jobs.handlers import JobResult, handles, on_end, on_postpone
from common.jobs.models import Job, JobQuerySet

__all__ = [
    "Job",
    "JobFailed",
    "JobQuerySet",
    "JobResult",
    "LostLease",
    "Postponed",
    "RetryLater",
    "handles",
    "on_end",
    "on_postpone",
]
