import os
import signal
import time
from dataclasses import dataclass

from django.db.models import F

from common.jobs import JobFailed, JobResult, Postponed, RetryLater, handles, on_end
from common.tests.models import Errand


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandResult(JobResult):
    result: str


@handles(Errand)
def run_errand(errand: Errand) -> ErrandResult:
    if errand.log:
        with open(errand.log, "a") as file:
            file.write(f"{errand.pk} {errand.attempts}\n")
    time.sleep(errand.seconds)
    match errand.action:
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
        case "once" if errand.attempts == 1:
            raise RetryLater("Not at first.", delay=0)
    return ErrandResult(result=f"done by try {errand.attempts}")


@on_end(Errand)
def count_end(errand: Errand) -> None:
    Errand.objects.filter(pk=errand.pk).update(ends=F("ends") + 1)
