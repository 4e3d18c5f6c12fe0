"""Writes to notes, summaries, batches and templates."""

from collections.abc import Iterable
from typing import IO, Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404

from accounts.models import User
from common.api.exceptions import Conflict
from common.events import find_changes, record, record_all
from common.jobs.status import ACTIVE, JobStatus
from notes.models import Batch, Note, Summary, SummarySource, SummaryTemplate
from notes.summary_options import SummaryOptions, compute_default_max_words


@transaction.atomic
def create_note(*, by: User, raw_text: str, title: str = "") -> Note:
    """Store a note and queue its own summary."""
    note = Note.objects.create(company=by.company, user=by, raw_text=raw_text, title=title)
    summary = Summary(company=by.company, user=by, note=note, own_note=note)
    Summary.objects.enqueue_many([SummaryOptions().apply(summary, text=raw_text)])
    record("note.created", by=by, target=note)
    return note


@transaction.atomic
def update_note(
    note: Note, *, by: User, title: str | None = None, raw_text: str | None = None
) -> Note:
    """Change a note; None keeps a value. A new text is summarised again."""
    values = _without_none(title=title, raw_text=raw_text)
    changes = find_changes(note, values)
    if not changes:
        return note
    _lock_note(note)
    for name in changes:
        setattr(note, name, values[name])
    if "raw_text" in changes:
        _requeue_for_new_text(note)
    # The summary is written before its note: see `Summary.update_note_timestamp`.
    note.save(update_fields=[*changes, "updated_at"])
    record("note.updated", by=by, target=note, changes=changes)
    return note


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _requeue_for_new_text(note: Note) -> None:
    note.own_summary.part_notes.all().delete()
    note.own_summary.requeue(
        progress=0,
        text_length=len(note.raw_text),
        max_words=compute_default_max_words(note.raw_text),
    )


@transaction.atomic
def delete_note(note: Note, *, by: User) -> None:
    """Delete a note and all its summaries; the ledger keeps their costs."""
    _lock_note(note)
    _record_summaries("summary.deleted", note.summaries.filter(own_note=None), by=by)
    record("note.deleted", by=by, target=note)
    note.delete()


def _lock_note(note: Note) -> None:
    """Lock a note and its summaries until the transaction ends; 404 if the note is gone.

    Summaries are locked first, as their workers do, to prevent deadlocks.
    """
    _lock_rows(note.summaries.all())
    _lock_or_404(note)


def _lock_or_404(row: Note | Summary) -> None:
    if not _lock_rows(type(row)._default_manager.filter(pk=row.pk)):
        raise Http404(f"The {row._meta.verbose_name} was deleted.")


def _lock_rows(rows: QuerySet) -> int:
    """Lock rows in the order of their ids and return how many there are."""
    return len(rows.select_for_update().order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def create_summary_from_text(*, by: User, text: str, options: SummaryOptions) -> Summary:
    """Queue the summary of a text."""
    summary = Summary(company_id=by.company_id, user=by)
    source = SummarySource(text=text)
    return _enqueue(options.apply(summary, text=text), source, by=by)


@transaction.atomic
def create_summary_from_note(*, by: User, note: Note, options: SummaryOptions) -> Summary:
    """Queue a further summary of a note's current text; it is deleted with the note."""
    _lock_or_404(note)
    summary = Summary(company_id=note.company_id, user=by, note=note)
    source = SummarySource(text=note.raw_text)
    return _enqueue(options.apply(summary, text=note.raw_text), source, by=by)


@transaction.atomic
def create_summary_from_file(
    *, by: User, file: IO[bytes], file_type: str, file_name: str, options: SummaryOptions
) -> Summary:
    """Queue the summary of a file; the worker extracts its text."""
    summary = Summary(company_id=by.company_id, user=by, file_name=file_name)
    source = SummarySource(file=file.read(), file_type=file_type)
    return _enqueue(options.apply(summary, text=None), source, by=by)


def _enqueue(summary: Summary, source: SummarySource, *, by: User) -> Summary:
    Summary.objects.enqueue_many([summary])
    source.summary, source.company_id = summary, summary.company_id
    source.save(force_insert=True)
    record("summary.created", by=by, target=summary)
    return summary


@transaction.atomic
def requeue_summary(summary: Summary, *, by: User) -> None:
    """Queue a summary to be made again, even if the company has stored an equal one."""
    _lock_or_404(summary)
    summary.requeue(progress=0, bypass_cache=True)
    summary.update_note_timestamp()
    record("summary.requeued", by=by, target=summary)


@transaction.atomic
def cancel_summary(summary: Summary, *, by: User) -> bool:
    """Cancel a summary; return False if it had ended."""
    cancelled = summary.cancel()
    if cancelled:
        record("summary.cancelled", by=by, target=summary)
    return cancelled


@transaction.atomic
def delete_summary(summary: Summary, *, by: User) -> None:
    """Cancel a summary unless it has ended, and delete it; the ledger keeps its cost.

    Raises `Conflict` for a note's own summary, which is deleted only with its note.
    """
    if summary.own_note_id:
        raise Conflict(
            "This is a note's own summary. Delete the note instead.", code="belongs_to_note"
        )
    _lock_rows(Summary.objects.filter(pk=summary.pk))
    summary.cancel()
    record("summary.deleted", by=by, target=summary)
    summary.delete()


@transaction.atomic
def create_batch(*, by: User, texts: Iterable[str], options: SummaryOptions) -> Batch:
    """Queue a summary for each text, with a fixed number of SQL statements."""
    batch = Batch.objects.create(
        company=by.company,
        user=by,
        template=options.template.name,
        language=options.language,
        max_words=options.max_words,
    )
    sources = [SummarySource(company_id=batch.company_id, text=text) for text in texts]
    for index, source in enumerate(sources):
        summary = Summary(company_id=batch.company_id, user=by, batch=batch, index=index)
        source.summary = options.apply(summary, text=source.text)
    Summary.objects.enqueue_many([source.summary for source in sources])
    SummarySource.objects.bulk_create(sources)
    record("batch.created", by=by, target=batch)
    _record_summaries("summary.created", [source.summary for source in sources], by=by)
    return batch


@transaction.atomic
def retry_batch(batch: Batch, *, by: User) -> None:
    """Requeue the failed summaries of a batch; raise `Conflict` if there are none."""
    requeued = batch.summaries.filter(status=JobStatus.FAILED).requeue_all(progress=0)
    if not requeued:
        raise Conflict("No text of this batch has failed.", code="nothing_failed")
    record("batch.retried", by=by, target=batch)
    _record_summaries("summary.requeued", requeued, by=by)


@transaction.atomic
def cancel_batch(batch: Batch, *, by: User) -> None:
    """Cancel the summaries of a batch that have not ended; raise `Conflict` if all have."""
    cancelled = batch.summaries.filter(status__in=ACTIVE).cancel_all()
    if not cancelled:
        raise Conflict("All texts of this batch have ended.", code="already_ended")
    record("batch.cancelled", by=by, target=batch)
    _record_summaries("summary.cancelled", cancelled, by=by)


def _record_summaries(action: str, summaries: Iterable[Summary], *, by: User) -> None:
    record_all(action, by=by, targets=[(summary, {}) for summary in summaries])


@transaction.atomic
def create_template(
    *, by: User, name: str, instructions: str, description: str = ""
) -> SummaryTemplate:
    """Store a template of the company of `by`."""
    template = SummaryTemplate.objects.create(
        company=by.company, name=name, instructions=instructions, description=description
    )
    record("template.created", by=by, target=template)
    return template


@transaction.atomic
def update_template(
    template: SummaryTemplate,
    *,
    by: User,
    name: str | None = None,
    instructions: str | None = None,
    description: str | None = None,
) -> SummaryTemplate:
    """Change a template; None keeps a value. Existing summaries keep their instructions."""
    values = _without_none(name=name, instructions=instructions, description=description)
    changes = find_changes(template, values)
    for field, value in values.items():
        setattr(template, field, value)
    template.save()
    if changes:
        record("template.updated", by=by, target=template, changes=changes)
    return template


@transaction.atomic
def delete_template(template: SummaryTemplate, *, by: User) -> None:
    """Delete a template; existing summaries keep its instructions."""
    record("template.deleted", by=by, target=template)
    template.delete()
