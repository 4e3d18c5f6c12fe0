"""A job that does what a test tells it to."""

import os
import signal
import time
from typing import Any

from django.db import models

from common.jobs import Job, JobFailed, Postponed, RetryLater


class Errand(Job):
    """`action` says what becomes of it: see `perform`. `log` is a file that it adds a line to."""

    action = models.CharField(max_length=30, default="work")
    seconds = models.FloatField(default=0)
    log = models.CharField(max_length=300, blank=True)
    result = models.CharField(max_length=100, blank=True)
    ends = models.PositiveSmallIntegerField(default=0)

    max_attempts = 3

    class Meta(Job.Meta):
        app_label = "tests"

    def perform(self) -> dict[str, Any]:
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{self.pk} {self.attempts}\n")
        time.sleep(self.seconds)
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fail":
                raise JobFailed("It can't be done.")
            case "later":
                raise RetryLater("Not now.", delay=0)
            case "wait":
                raise Postponed(delay=60)
            case "raise":
                raise ZeroDivisionError("secret detail")
            case "once":
                if self.attempts == 1:
                    raise RetryLater("Not at first.", delay=0)
        return {"result": f"done by try {self.attempts}"}

    def on_end(self) -> None:
        type(self).objects.filter(pk=self.pk).update(ends=models.F("ends") + 1)
