from django.db import models
from django.db.models import Q

from common.jobs import Job
from common.jobs.status import JobStatus


class SampleJob(Job):
    """A job whose runs end as a test wants: `action` says how, see `tasks.py`.

    Each run sleeps for `seconds` and appends a line to the file `log_path`.
    """

    action = models.CharField(max_length=30, default="work")
    seconds = models.FloatField(default=0)
    log_path = models.CharField(max_length=300, blank=True)
    result = models.CharField(max_length=100, blank=True)
    end_count = models.PositiveSmallIntegerField(default=0)

    max_attempts = 3

    class Meta(Job.Meta):
        app_label = "tests"


class FairJob(Job):
    """A job for which companies and people get turns; the ids refer to no rows."""

    company_id = models.UUIDField()
    user_id = models.UUIDField()
    batch_id = models.UUIDField(null=True)

    bulk_field = "batch_id"
    fairness_keys = ("company_id", "user_id")

    class Meta(Job.Meta):
        app_label = "tests"
        indexes = [
            *Job.Meta.indexes,
            models.Index(
                fields=["company_id", "user_id", "run_after"],
                condition=Q(status=JobStatus.QUEUED, batch_id=None),
                name="fair_job_waiting",
            ),
            models.Index(
                fields=["company_id", "user_id", "run_after"],
                condition=Q(status=JobStatus.QUEUED, batch_id__isnull=False),
                name="fair_job_of_batch_waiting",
            ),
        ]
