"""Durable background jobs: a job is a row; its message only says that one of its kind is due.

Subclass `Job`, register its handler with `@handles(...)` in the app's `tasks.py` and create rows
with `objects.enqueue(...)`. Every transition is a conditional UPDATE of the row. So a worker that
dies, a broker that loses messages and a message that arrives twice do not change the result.
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
