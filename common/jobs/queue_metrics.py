"""Gauges of active jobs, read from the database at each scrape."""

from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from common.jobs.models import job_models
from common.jobs.querysets import JobQuerySet
from common.jobs.status import ACTIVE, JobStatus


def collect() -> list[Metric]:
    """Return the number of active jobs by kind and queue, and the age of the oldest.

    The queries only read the partial index of active jobs.
    """
    families = [
        GaugeMetricFamily(f"bureau_jobs_{name}", text, labels=["kind", "queue"])
        for name, text in (
            ("queued", "Jobs that wait."),
            ("in_progress", "Jobs that run."),
            ("oldest_seconds", "How long the longest waiting job is overdue."),
        )
    ]
    for model in job_models():
        for queue in model.queues():
            values = _measure_active_jobs(model.objects.in_queue(queue))
            for family, value in zip(families, values, strict=True):
                family.add_metric([model._meta.label, queue], value)
    return list(families)


def _measure_active_jobs(jobs: JobQuerySet) -> tuple[int, int, float]:
    """Return the numbers of queued and running jobs, and the seconds the oldest is overdue."""
    queued, running = Q(status=JobStatus.QUEUED), Q(status=JobStatus.IN_PROGRESS)
    row = jobs.filter(status__in=ACTIVE).aggregate(
        queued=Count("pk", filter=queued),
        running=Count("pk", filter=running),
        overdue=Now() - Min("run_after", filter=queued),
    )
    overdue_s = row["overdue"].total_seconds() if row["overdue"] else 0.0
    return row["queued"], row["running"], max(0.0, overdue_s)
