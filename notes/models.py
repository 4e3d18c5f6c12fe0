from typing import Any

from django.conf import settings
from django.db import models

from accounts.models import CompanyOwned
from common.jobs import Job
from notes.querysets import NoteQuerySet, SummaryQuerySet

LONGEST_TEXT = 500_000


class Note(CompanyOwned):
    """What somebody wrote down. Its summary, and the state of that, is its `job`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="notes")
    title = models.CharField(max_length=200, blank=True)
    raw_text = models.TextField("text", max_length=LONGEST_TEXT)

    objects = NoteQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        indexes = [
            models.Index(fields=["company", "-id"], name="note_of_company"),
            models.Index(fields=["user", "-id"], name="note_of_user"),
        ]

    def __str__(self) -> str:
        return self.title or self.raw_text[:60]


class Summary(CompanyOwned, Job):
    """The summary of a note, made in the background.

    A note has one; when the text changes the same row is queued again, and keeps the old summary
    until the new one is there.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="summaries")
    note = models.OneToOneField(Note, models.CASCADE, related_name="job")
    summary = models.TextField(blank=True, editable=False)
    omitted = models.TextField(blank=True, editable=False)
    model = models.CharField(max_length=100, blank=True, editable=False)
    prompt_tokens = models.PositiveIntegerField(default=0, editable=False)
    completion_tokens = models.PositiveIntegerField(default=0, editable=False)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0, editable=False)

    objects = SummaryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        verbose_name_plural = "summaries"

    def __str__(self) -> str:
        return f"Summary of {self.note_id}"

    def perform(self) -> dict[str, Any]:
        from notes.services import summarize

        return summarize(self)
