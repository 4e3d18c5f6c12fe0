"""Writes across notes, summaries and batches."""

from dataclasses import dataclass
from typing import IO, Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404

from accounts.models import User
from common.api.exceptions import Conflict
from common.jobs.models import ACTIVE, JobStatus
from notes.models import Batch, Note, Source, Summary
from notes.summary_job import measured
from notes.templates import DEFAULT, Template


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a summary should be like. `language` "" is the text's own; without `max_words` the
    text decides."""

    template: Template = DEFAULT
    language: str = ""
    max_words: int | None = None

    def columns(self, text: str | None) -> dict[str, Any]:
        """A summary's columns; `text` is None while a file is not read."""
        known = {"max_words": self.max_words} if text is None else measured(text)
        return {
            **known,
            "max_words": self.max_words or known["max_words"],
            "template": self.template.name,
            "instructions": self.template.instructions,
            "language": self.language,
        }


@transaction.atomic
def create_note(*, by: User, raw_text: str, title: str = "") -> Note:
    """Store a note and queue its summary."""
    note = Note.objects.create(company=by.company, user=by, raw_text=raw_text, title=title)
    Summary.objects.enqueue(
        company=by.company, user=by, note=note, job_of=note, **measured(raw_text)
    )
    return note


@transaction.atomic
def update_note(note: Note, *, by: User, **fields: Any) -> Note:
    """Change a note; another text is summarised anew."""
    changed = {name: value for name, value in fields.items() if getattr(note, name) != value}
    if not changed:
        return note
    _lock(note)
    for name, value in changed.items():
        setattr(note, name, value)
    if "raw_text" in changed:
        note.job.parts.all().delete()
        note.job.requeue(progress=0, **measured(note.raw_text))
    note.save(update_fields=[*changed, "updated_at"])  # after the summary, see `touch_note`
    return note


@transaction.atomic
def delete_note(note: Note, *, by: User) -> None:
    """Delete a note and all its summaries; what they cost stays in the ledger."""
    _lock(note)
    note.delete()


def _lock(note: Note) -> None:
    """Keep a note from all who would change or delete it until the transaction ends.

    Its summaries come first, as with their workers (`Summary.touch_note`), so that no two wait for
    each other. `Http404` where the note is gone.
    """
    _locked(note.summaries.all())
    if not _locked(Note.objects.filter(pk=note.pk)):
        raise Http404("The note is gone.")


def _locked(rows: QuerySet) -> list[Any]:
    return list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def summarize_again(job: Summary, *, by: User) -> None:
    """Have a summary made anew, even if the same text has one already."""
    if not _locked(Summary.objects.filter(pk=job.pk)):
        raise Http404("The summary is gone.")
    job.requeue(progress=0, fresh=True)
    job.touch_note()


@transaction.atomic
def summarize_text(*, by: User, text: str, wishes: Wishes) -> Summary:
    """Queue the summary of a text."""
    return _enqueue(Source(text=text), company_id=by.company_id, user=by, **wishes.columns(text))


@transaction.atomic
def summarize_note(*, by: User, note: Note, wishes: Wishes) -> Summary:
    """Queue a further summary of a note, of the text as it is now. It goes when the note goes."""
    if not _locked(Note.objects.filter(pk=note.pk)):
        raise Http404("The note is gone.")
    columns = wishes.columns(note.raw_text)
    source = Source(text=note.raw_text)
    return _enqueue(source, company_id=note.company_id, user=by, note=note, **columns)


@transaction.atomic
def summarize_file(*, by: User, file: IO[bytes], kind: str, name: str, wishes: Wishes) -> Summary:
    """Queue the summary of a file; the worker reads its text."""
    columns = wishes.columns(None)
    source = Source(file=file.read(), kind=kind)
    return _enqueue(source, company_id=by.company_id, user=by, file_name=name, **columns)


def _enqueue(source: Source, **columns: Any) -> Summary:
    source.summary = Summary.objects.enqueue(**columns)
    source.company_id = source.summary.company_id
    source.save(force_insert=True)
    return source.summary


@transaction.atomic
def summarize_batch(*, by: User, texts: list[str], wishes: Wishes) -> Batch:
    """Queue the summaries of many texts, by as many statements as for one."""
    batch = Batch.objects.create(
        company=by.company,
        user=by,
        template=wishes.template.name,
        language=wishes.language,
        max_words=wishes.max_words,
    )
    owned = {"company_id": batch.company_id, "user": by, "batch": batch}
    summaries = Summary.objects.enqueue_many(
        [Summary(**owned, index=n, **wishes.columns(text)) for n, text in enumerate(texts)]
    )
    Source.objects.bulk_create(
        Source(company_id=batch.company_id, summary=summary, text=text)
        for summary, text in zip(summaries, texts, strict=True)
    )
    return batch


def retry_batch(batch: Batch, *, by: User) -> None:
    """Queue what has failed again; `Conflict` where nothing has."""
    if not batch.summaries.filter(status=JobStatus.FAILED).requeue_all(progress=0):
        raise Conflict("No text of this batch has failed.", code="nothing_failed")


def cancel_batch(batch: Batch, *, by: User) -> None:
    """Cancel what has not ended; `Conflict` where all has."""
    if not batch.summaries.filter(status__in=ACTIVE).cancel_all():
        raise Conflict("All texts of this batch have ended.", code="already_ended")


@transaction.atomic
def delete_summary(summary: Summary, *, by: User) -> None:
    """Cancel a summary if it has not ended, and remove it; what it cost stays in the ledger.

    A note's own summary goes with the note and not without it (`Conflict`).
    """
    if summary.job_of_id:
        raise Conflict("This is a note's own summary: delete the note.", code="belongs_to_note")
    summary.cancel()
    summary.delete()
