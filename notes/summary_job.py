"""The work of a summary's job, and the side effects of its end."""

from dataclasses import dataclass
from functools import partial

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Q, QuerySet

from common import ai, documents
from common.ai.text import languages
from common.ai.text.visible_text import extract_visible_text
from common.events import announce_progress
from common.jobs import JobFailed, JobResult, LostLease, RetryLater
from common.jobs.status import JobStatus
from common.postgres.retries import retry_on_disconnect
from notes import deduplication
from notes.ledger import SummaryLedger, update_summary_sums
from notes.models import PartNotes, Summary, SummaryOutcome, SummarySource
from notes.private_reuse import describe_usage
from notes.reused_usage import ReusedUsage
from notes.summary_options import MAX_DEFAULT_WORDS, compute_default_max_words


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryJobResult(JobResult):
    """The columns of a finished summary."""

    summary: str
    omitted: str
    model: str
    result_key: str
    cached: bool = False
    reuse_is_private: bool = False
    reused_usage: ReusedUsage | None = None
    bypass_cache: bool = False
    progress: float = 1


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text to summarise; `omitted` describes the parts of its file that it lacks."""

    text: str
    omitted: str = ""


def summarize(job: Summary) -> SummaryJobResult:
    """Return an equal summary that the company has stored, or make a new one.

    Raises `JobFailed` if another attempt would fail too, `RetryLater` if it may succeed, and
    `Postponed` while another run makes the same summary.
    """
    announce_progress(job)
    if job.attempts > 1:
        job.calls.close_as_lost()  # Open calls belong to a run whose worker died.
    source = load_source_text(job)
    request = ai.SummaryRequest(
        text=extract_visible_text(source.text),
        instructions=job.instructions,
        language=languages.normalize_language(job.language),
        max_words=job.max_words or MAX_DEFAULT_WORDS,
    )
    key = deduplication.compute_request_key(
        request, model=ai.summarizer().model, omitted=source.omitted
    )
    if stored := deduplication.find_or_reserve(job, key):
        return _reuse(job, stored, key)
    result = _call_summarizer(job, request)
    return SummaryJobResult(
        summary=result.text,
        omitted="; ".join(filter(None, (source.omitted, result.omitted))),
        model=result.model,
        result_key=key,
    )


def _reuse(job: Summary, stored: Summary, key: str) -> SummaryJobResult:
    is_private = not deduplication.is_visible(job, key)
    return SummaryJobResult(
        summary=stored.summary,
        omitted=stored.omitted,
        model=stored.model,
        result_key=key,
        cached=not is_private,
        reuse_is_private=is_private,
        reused_usage=describe_usage(stored),
    )


def load_source_text(job: Summary) -> SourceText:
    """Return the text to summarise; a file's text is extracted first."""
    try:
        if job.own_note:
            return SourceText(job.own_note.raw_text)
        source = job.source
    except ObjectDoesNotExist:  # It was deleted after the claim.
        raise LostLease from None
    if source.file is not None:
        _extract_file(job, source, source.file)
    elif source.file_type and not source.text:
        raise JobFailed("The file could not be read and was deleted. Send it again.")
    return SourceText(source.text, source.omitted)


def _extract_file(job: Summary, source: SummarySource, file: bytes | memoryview) -> None:
    """Replace the stored file by its text."""
    try:
        document = documents.extract(bytes(file), documents.DocumentType(source.file_type))
    except documents.DocumentRefused as error:
        SummarySource.objects.filter(pk=source.pk).update(file=None)
        raise JobFailed(str(error)) from None
    source.text, source.omitted, source.file = document.text, document.omitted, None
    job.max_words = job.max_words or compute_default_max_words(document.text)
    with transaction.atomic():
        job.renew(text_length=len(document.text), max_words=job.max_words)
        source.save(update_fields=["text", "omitted", "file", "updated_at"])


def _call_summarizer(job: Summary, request: ai.SummaryRequest) -> ai.SummaryResult:
    try:
        return ai.summarizer().summarize(
            request, recorder=SummaryLedger(job), progress=partial(_report_progress, job)
        )
    except ai.SummaryRefused as error:
        raise JobFailed(str(error)) from None
    except ai.ProviderUnavailable as error:
        raise RetryLater(str(error), delay=error.retry_after) from None
    except LostLease:
        # A cancelled job ended before its last call was recorded, so its totals lack that call.
        retry_on_disconnect(partial(update_summary_sums, job.pk))
        raise


def _report_progress(job: Summary, done: int, total: int) -> None:
    """Store progress and renew the lease; `LostLease` if the job was cancelled or changed."""
    job.renew(progress=round(done / total, 3))
    announce_progress(job)


def record_side_effects(job: Summary) -> None:
    """Record side effects of a finished summary, in the same transaction."""
    job.update_note_timestamp()
    if job.status != JobStatus.FAILED:
        _obsolete_part_notes(job).delete()
    if job.started_at is None:
        return
    if job.status == JobStatus.FAILED:
        job.calls.close_as_lost()  # Open calls belong to a run whose worker died.
    if job.status != JobStatus.CANCELLED:
        _record_outcome(job)
    job.update_usage()
    if job.in_flight_key:
        deduplication.publish_waiting_on_commit(job)


def _obsolete_part_notes(job: Summary) -> QuerySet[PartNotes]:
    """Return the job's part notes, with those of its duplicates once its summary is stored."""
    obsolete = Q(summary=job)
    if job.status == JobStatus.COMPLETED and job.in_flight_key:
        obsolete |= Q(summary__company_id=job.company_id, summary__in_flight_key=job.in_flight_key)
    return PartNotes.objects.filter(obsolete)


def _record_outcome(job: Summary) -> None:
    assert job.processing_ms is not None
    assert job.finished_at is not None
    failed = job.status == JobStatus.FAILED
    SummaryOutcome.objects.create(
        company_id=job.company_id,
        user_id=job.user_id,
        model=ai.summarizer().model if failed else job.model,
        failed=failed,
        cached=not failed and job.cached,
        private_reuse=job.reused_usage if job.reuse_is_private and not failed else None,
        duration_ms=job.processing_ms,
        ended_at=job.finished_at,
    )
