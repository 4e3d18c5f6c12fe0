"""A kind of job that ends as a test wants it to."""

from django.db import models

from common.jobs import Job


class Errand(Job):
    """`action` says how a run ends (see `tasks.py`); a run appends a line to the file `log`."""

    action = models.CharField(max_length=30, default="work")
    seconds = models.FloatField(default=0)
    log = models.CharField(max_length=300, blank=True)
    result = models.CharField(max_length=100, blank=True)
    ends = models.PositiveSmallIntegerField(default=0)

    max_attempts = 3

    class Meta(Job.Meta):
        app_label = "tests"
