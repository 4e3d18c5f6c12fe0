"""The same is not paid for twice: one run makes a summary, and all who want the same get it.

    is it there? ──no──▶ take ──nobody makes it──▶ is it there now? ──no──▶ make it
                           └──somebody does──▶ wait in the queue, to be woken when that ends

The lock is a unique index over rows that are in progress (`summary_made_once`), so it goes with
whatever ends the run, and with the next claim of a row whose worker died.
"""

import hashlib
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from common.ai import SummaryRequest
from common.jobs import LostLease, Postponed
from common.jobs.querysets import MIN_REPUBLISH_DELAY
from common.jobs.status import JobStatus
from notes.models import Summary
from notes.querysets import SummaryQuerySet

PATIENCE = 15.0  # seconds after which one who waits looks for himself


def key_of(request: SummaryRequest, *, model: str, omitted: str = "") -> str:
    """Alike for requests that may have the same answer. `omitted` is what the text lacks.

    White space around the text and the case of the language's name make no other answer.
    """
    digest = hashlib.sha256()
    language = request.language.casefold()
    how = (model, request.instructions, language, str(request.max_words), omitted)
    for part in (*how, request.text.strip()):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def find_or_take(job: Summary, key: str) -> Summary | None:
    """The summary that the company has of `key`; `None` where this run is to make it.

    Raises `Postponed` while another run makes it, and `LostLease`.
    """
    if job.fresh:
        _take(job, key)
        return None
    if known := _find(job, key):
        return known
    _take(job, key)
    # Who made it until this moment has stored it before it let go.
    return _find(job, key)


def _take(job: Summary, key: str) -> None:
    """Become the one run that makes `key` in the company."""
    mine = Summary.objects.filter(pk=job.pk, status=JobStatus.IN_PROGRESS, run_id=job.run_id)
    job.making = key
    try:
        with transaction.atomic():
            taken = mine.update(making=key, making_run=job.run_id)
    except IntegrityError:
        mine.update(making=key, making_run=None)
        raise Postponed(delay=PATIENCE) from None
    if not taken:
        raise LostLease


def _find(job: Summary, key: str) -> Summary | None:
    """The newest, where it was made again."""
    known = Summary.objects.filter(company_id=job.company_id, key=key)
    return known.order_by(F("finished_at").desc(nulls_last=True)).first()


def wake_on_commit(job: Summary) -> None:
    """A run has ended: all who wait for its summary may have it; without one, the next makes it."""
    everybody = job.status == JobStatus.COMPLETED
    waiting = _same(job).filter(status=JobStatus.QUEUED, making_run=None).order_by("pk")
    transaction.on_commit(partial(_wake, waiting, at_most=None if everybody else 1))


def wake_if_nobody_makes(job: Summary) -> None:
    """For one who has just begun to wait: who was the maker may have ended in this instant."""
    makers = _same(job).filter(status=JobStatus.IN_PROGRESS, making_run=F("run_id"))
    if not makers.exists():
        _wake(Summary.objects.filter(pk=job.pk))


def _same(job: Summary) -> SummaryQuerySet:
    return Summary.objects.filter(company_id=job.company_id, making=job.making)


def _wake(waiting: SummaryQuerySet, *, at_most: int | None = None) -> None:
    jobs = list(waiting.only_for_publish()[:at_most])
    rows = Summary.objects.filter(pk__in=[job.pk for job in jobs], status=JobStatus.QUEUED)
    if jobs and rows.update(run_after=Now(), publish_after=Now() + MIN_REPUBLISH_DELAY):
        for job in jobs:
            job.publish()
