"""Writes across a note and its summary, and the summarising itself."""

from typing import Any

from django.db import transaction

from accounts.models import User
from common import ai
from common.jobs import JobFailed, RetryLater
from notes.models import Note, Summary

SHORTEST, LONGEST = 20, 120


@transaction.atomic
def create_note(*, by: User, raw_text: str, title: str = "") -> Note:
    """Store a note and queue its summary."""
    note = Note.objects.create(company=by.company, user=by, raw_text=raw_text, title=title)
    Summary.objects.enqueue(company=by.company, user=by, note=note)
    return note


@transaction.atomic
def update_note(note: Note, *, by: User, **fields: Any) -> Note:
    """Change a note; another text is summarised anew."""
    changed = {name: value for name, value in fields.items() if getattr(note, name) != value}
    if not changed:
        return note
    for name, value in changed.items():
        setattr(note, name, value)
    note.save(update_fields=[*changed, "updated_at"])
    if "raw_text" in changed:
        note.job.requeue()
    return note


def summarize(job: Summary) -> dict[str, Any]:
    """Make the summary of the job's note and return the columns to store.

    Raises `JobFailed` where another try would end the same way and `RetryLater` where it may not.
    """
    text = job.note.raw_text
    request = ai.SummaryRequest(text=text, max_words=_words_for(text))
    try:
        result = ai.summarizer().summarize(request)
    except ai.SummaryRefused as error:
        raise JobFailed(str(error)) from None
    except ai.ProviderUnavailable as error:
        raise RetryLater(str(error), delay=error.retry_after) from None
    return {
        "summary": result.text,
        "omitted": result.omitted,
        "model": result.model,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "cost_usd": result.cost_usd,
    }


def _words_for(text: str) -> int:
    """A third of the text, within what people read as a summary."""
    return max(SHORTEST, min(len(text.split()) // 3, LONGEST))
