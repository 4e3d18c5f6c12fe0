"""Deduplication of summaries: a company pays once for equal requests.

    stored? ──no──▶ reserve ──reserved──▶ stored now? ──no──▶ produce it
                      └──another run produces it──▶ wait in the queue until that run ends

A summary of a colleague's private note is reused too; `notes.private_reuse` hides that.

The lock is a partial unique index over jobs in progress (`summary_one_producer_per_key`). It is
therefore released by any end of the run, and by the next claim of a job whose worker died.
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

# A waiting job is published when the producer ends; this is the fallback.
RECHECK_DELAY_S = 15.0


def compute_request_key(request: SummaryRequest, *, model: str, omitted: str = "") -> str:
    """Return a digest that is the same for requests that can share a summary.

    White space around the text and the letter case of the language make no difference. `omitted`
    describes the parts of a file that are not in the text.
    """
    digest = hashlib.sha256()
    language = request.language.casefold()
    options = (model, request.instructions, language, str(request.max_words), omitted)
    for value in (*options, request.text.strip()):
        encoded = value.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def find_or_reserve(job: Summary, key: str) -> Summary | None:
    """Return the company's stored summary for `key`, or None if this run must produce it.

    Raises `Postponed` while another run produces it, and `LostLease` if this run lost the job.
    """
    if job.bypass_cache:
        _reserve(job, key)
        return None
    if stored := _find_stored(job, key):
        return stored
    _reserve(job, key)
    # The previous producer may have stored its result just before it released the key.
    return _find_stored(job, key)


def _reserve(job: Summary, key: str) -> None:
    """Make this run the only producer of `key` in its company."""
    own_row = Summary.objects.filter(pk=job.pk, status=JobStatus.IN_PROGRESS, run_id=job.run_id)
    job.in_flight_key = key
    try:
        with transaction.atomic():
            reserved = own_row.update(in_flight_key=key, producer_run_id=job.run_id)
    except IntegrityError:
        own_row.update(in_flight_key=key, producer_run_id=None)
        raise Postponed(delay=RECHECK_DELAY_S) from None
    if not reserved:
        raise LostLease


def _find_stored(job: Summary, key: str) -> Summary | None:
    """Return the newest summary for `key`; there are several if one was made again."""
    return _stored(job, key).order_by(F("finished_at").desc(nulls_last=True)).first()


def is_visible(job: Summary, key: str) -> bool:
    """Return whether the job's user can see one of the summaries for `key`."""
    return _stored(job, key).visible_to(job.user).exists()


def _stored(job: Summary, key: str) -> SummaryQuerySet:
    return Summary.objects.filter(company_id=job.company_id, result_key=key)


def publish_waiting_on_commit(job: Summary) -> None:
    """Publish the jobs that wait for this producer; only the first if it did not complete."""
    waiting = (
        _with_same_key(job).filter(status=JobStatus.QUEUED, producer_run_id=None).order_by("pk")
    )
    limit = None if job.status == JobStatus.COMPLETED else 1
    transaction.on_commit(partial(_publish_now, waiting, limit=limit))


def publish_if_no_producer(job: Summary) -> None:
    """Publish a job that has just begun to wait, if its producer ended in the meantime."""
    producers = _with_same_key(job).filter(
        status=JobStatus.IN_PROGRESS, producer_run_id=F("run_id")
    )
    if not producers.exists():
        _publish_now(Summary.objects.filter(pk=job.pk))


def _with_same_key(job: Summary) -> SummaryQuerySet:
    """Return the company's jobs with the same `in_flight_key`, including `job`."""
    return Summary.objects.filter(company_id=job.company_id, in_flight_key=job.in_flight_key)


def _publish_now(waiting: SummaryQuerySet, *, limit: int | None = None) -> None:
    """Make waiting jobs due and publish them."""
    jobs = list(waiting.only_for_publish()[:limit])
    rows = Summary.objects.filter(pk__in=[job.pk for job in jobs], status=JobStatus.QUEUED)
    if jobs and rows.update(run_after=Now(), publish_after=Now() + MIN_REPUBLISH_DELAY):
        for job in jobs:
            job.publish()
