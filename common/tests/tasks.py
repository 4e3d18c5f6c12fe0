import os
import signal
import time
from dataclasses import dataclass

from django.db.models import F

from common.jobs import JobFailed, JobResult, Postponed, RetryLater, handles, on_end
from common.tests.models import SampleJob


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult(JobResult):
    result: str


@handles(SampleJob)
def run_sample_job(job: SampleJob) -> SampleResult:
    if job.log_path:
        with open(job.log_path, "a") as file:
            file.write(f"{job.pk} {job.attempts}\n")
    time.sleep(job.seconds)
    match job.action:
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
        case "once" if job.attempts == 1:
            raise RetryLater("Not at first.", delay=0)
    return SampleResult(result=f"done by attempt {job.attempts}")


@on_end(SampleJob)
def count_end(job: SampleJob) -> None:
    SampleJob.objects.filter(pk=job.pk).update(end_count=F("end_count") + 1)
