"""What a summary's job does, and what is put down when it ends."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Q, QuerySet

from common import ai, documents
from common.ai.text import languages
from common.ai.text.sentences import count_words
from common.jobs import JobFailed, JobResult, LostLease, RetryLater
from common.jobs.models import JobStatus
from common.jobs.runner import through_restarts
from notes import deduplication
from notes.ledger import Ledger, sum_up
from notes.models import Outcome, Part, Source, Summary

SHORTEST, LONGEST = 20, 120  # words
ENOUGH = 40_000  # characters that have three times as many words as the longest summary


def measured(text: str) -> dict[str, Any]:
    """The columns that follow from the text, where nobody wished for a length of the summary.

    A third of the text, within what people read as a summary.
    """
    words = max(SHORTEST, min(count_words(text[:ENOUGH]) // 3, LONGEST))
    return {"text_length": len(text), "max_words": words}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSummary(JobResult):
    """The columns of a finished summary."""

    summary: str
    omitted: str
    model: str
    key: str
    cached: bool = False
    fresh: bool = False
    progress: float = 1


def summarize(job: Summary) -> StoredSummary:
    """Make the job's summary, or find it made, and return the columns to store.

    Raises `JobFailed` where another try would end the same way, `RetryLater` where it may not,
    and `Postponed` while another run makes the same.
    """
    if job.attempts > 1:
        job.calls.lose()  # of a run whose worker died
    text, missing = text_of(job)
    request = ai.SummaryRequest(
        text=text,
        instructions=job.instructions,
        language=languages.normalize_language(job.language),
        max_words=job.max_words or LONGEST,
    )
    key = deduplication.key_of(request, model=ai.summarizer().model, omitted=missing)
    if known := deduplication.find_or_take(job, key):
        return StoredSummary(
            summary=known.summary, omitted=known.omitted, model=known.model, key=key, cached=True
        )
    made = _made(job, request)
    return StoredSummary(
        summary=made.text,
        omitted="; ".join(filter(None, (missing, made.omitted))),
        model=made.model,
        key=key,
    )


def text_of(job: Summary) -> tuple[str, str]:
    """The text to summarise, and in words what of its source is not in it."""
    try:
        if job.job_of:
            return job.job_of.raw_text, ""
        source = job.source
    except ObjectDoesNotExist:  # deleted while this run began
        raise LostLease from None
    if source.file is not None:
        _read_file(job, source, source.file)
    elif source.kind and not source.text:
        raise JobFailed("The file could not be read and is no longer kept: send it again.")
    return source.text, source.omitted


def _read_file(job: Summary, source: Source, file: bytes | memoryview) -> None:
    """Put the file's text in its place."""
    try:
        found = documents.extract(bytes(file), documents.DocumentType(source.kind))
    except documents.DocumentRefused as error:
        Source.objects.filter(pk=source.pk).update(file=None)
        raise JobFailed(str(error)) from None
    source.text, source.omitted, source.file = found.text, found.omitted, None
    columns = measured(found.text)
    job.max_words = columns["max_words"] = job.max_words or columns["max_words"]
    with transaction.atomic():
        job.renew(**columns)
        source.save(update_fields=["text", "omitted", "file", "updated_at"])


def _made(job: Summary, request: ai.SummaryRequest) -> ai.SummaryResult:
    try:
        return ai.summarizer().summarize(
            request, recorder=Ledger(job), progress=partial(_report, job)
        )
    except ai.SummaryRefused as error:
        raise JobFailed(str(error)) from None
    except ai.ProviderUnavailable as error:
        raise RetryLater(str(error), delay=error.retry_after) from None
    except LostLease:
        through_restarts(partial(sum_up, job.pk))  # a cancelled one had ended before it was paid
        raise


def _report(job: Summary, done: int, total: int) -> None:
    """Each part of a long text renews the lease; `LostLease` ends a run that is not wanted now."""
    job.renew(progress=round(done / total, 3))


def settle(job: Summary) -> None:
    """Put down what the end of a summary means for others, in the transaction that ends it."""
    job.touch_note()
    if job.status != JobStatus.FAILED:
        _parts_no_longer_wanted(job).delete()
    if job.started_at is None:
        return
    if job.status == JobStatus.FAILED:
        job.calls.lose()  # as above, where there is no next run
    if job.status != JobStatus.CANCELLED:
        _count(job)
    job.sum_up()
    if job.making:
        deduplication.wake_on_commit(job)


def _parts_no_longer_wanted(job: Summary) -> QuerySet[Part]:
    """A summary's own and, once it is there, those of others of the company that want the same."""
    whose = Q(summary=job)
    if job.status == JobStatus.COMPLETED and job.making:
        whose |= Q(summary__company_id=job.company_id, summary__making=job.making)
    return Part.objects.filter(whose)


def _count(job: Summary) -> None:
    assert job.started_at is not None
    assert job.finished_at is not None
    failed = job.status == JobStatus.FAILED
    Outcome.objects.create(
        company_id=job.company_id,
        user_id=job.user_id,
        model=ai.summarizer().model if failed else job.model,
        failed=failed,
        cached=not failed and job.cached,
        duration_ms=processing_ms(job),
        ended_at=job.finished_at,
    )


def processing_ms(job: Summary) -> int | None:
    """From the first start to the end, waits between tries included; `None` before the end."""
    if job.started_at is None or job.finished_at is None:
        return None
    return max(0, round((job.finished_at - job.started_at).total_seconds() * 1000))
