from django.db import models

from common.jobs import Job


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
