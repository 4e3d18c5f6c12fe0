from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from accounts.identifiers import validate_one_line
from accounts.models import CompanyOwned
from common.ai import prompts
from common.jobs import Job
from common.jobs.models import ACTIVE, JobStatus
from notes.querysets import (
    BatchQuerySet,
    CallQuerySet,
    NoteQuerySet,
    OutcomeQuerySet,
    SummaryQuerySet,
    TemplateQuerySet,
)

LONGEST_TEXT = 500_000  # characters of a note
LONGEST_SOURCE = 2_000_000  # characters of what `/summaries` takes: about 800 pages
LONGEST_INSTRUCTIONS = 2_000
SHA256 = 64


def money(**options: Any) -> models.DecimalField:
    """USD to a billionth: exact for a token at any price for a million that has three decimals."""
    return models.DecimalField(max_digits=18, decimal_places=9, default=0, **options)


def figure(**options: Any) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(default=0, editable=False, **options)


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


def validate_own_name(name: str) -> None:
    if name.strip().lower() in prompts.TEMPLATES:
        raise ValidationError("This is the name of a built-in template.", code="unique")
    if is_id(name):  # of another template, perhaps, which it would stand before
        raise ValidationError("A name can't be a UUID, as templates' ids are.", code="invalid")


def is_id(name: str) -> bool:
    """In any of the forms in which a row is found by its id."""
    try:
        UUID(name)
    except ValueError:
        return False
    return True


class SummaryTemplate(CompanyOwned):
    """A company's own words for what a summary should be like.

    Summaries keep the words that they were made by, so a template may change or go.
    """

    name = models.CharField(max_length=60, validators=[validate_one_line, validate_own_name])
    description = models.CharField(max_length=200, blank=True)
    instructions = models.TextField(
        max_length=LONGEST_INSTRUCTIONS,
        help_text='What the summary should hold. With "- " in it, the answer is a list.',
    )
    # `templates.as_rows` says otherwise of its own.
    built_in = False

    objects = TemplateQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                "company",
                Lower("name"),
                name="template_name_unique",
                violation_error_code="unique",
                violation_error_message="The company has a template of this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Batch(CompanyOwned):
    """Up to 100 texts that were sent together; each is a `Summary`, and they tell all else."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    template = models.CharField(max_length=60)
    language = models.CharField(max_length=40, blank=True)
    max_words = models.PositiveSmallIntegerField(null=True)

    objects = BatchQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        verbose_name_plural = "batches"
        indexes = [
            models.Index(fields=["company", "-id"], name="batch_of_company"),
            models.Index(fields=["user", "-id"], name="batch_of_user"),
        ]

    def __str__(self) -> str:
        return f"Batch of {self.created_at:%d %b %Y, %H:%M}"


class Summary(CompanyOwned, Job):
    """A summary, made in the background: of a note, or of what somebody sent to `/summaries`.

    A note's own summary (`job_of`) is made of the text that the note has when it runs. When that
    changes the same row is queued again, and keeps the old summary until the new one is there.
    All others are made of their `source`.

    `key` says what the stored summary was made of and how; another that wants the same gets the
    same (`notes.deduplication`). `making` is the key of what this row's run makes, or waits for.
    """

    bulk_field = "batch_id"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="summaries")
    note = models.ForeignKey(Note, models.CASCADE, null=True, related_name="summaries")
    job_of = models.OneToOneField(
        Note, models.CASCADE, null=True, editable=False, related_name="job"
    )
    batch = models.ForeignKey(Batch, models.CASCADE, null=True, related_name="summaries")
    index = models.PositiveSmallIntegerField("place in the batch", null=True, editable=False)
    file_name = models.CharField(max_length=255, blank=True, editable=False)
    template = models.CharField(max_length=60, default="paragraph", editable=False)
    instructions = models.TextField(default=prompts.TEMPLATES["paragraph"], editable=False)
    language = models.CharField(max_length=40, blank=True, editable=False)
    # Both are unknown until a file is read.
    max_words = models.PositiveSmallIntegerField(null=True, editable=False)
    text_length = models.PositiveIntegerField(null=True, editable=False)

    progress = models.FloatField(default=0, editable=False)
    summary = models.TextField(blank=True, editable=False)
    omitted = models.TextField(blank=True, editable=False)
    model = models.CharField(max_length=100, blank=True, editable=False)
    cached = models.BooleanField(default=False, editable=False)
    prompt_tokens = figure()
    completion_tokens = figure()
    cached_tokens = figure()
    reasoning_tokens = figure()
    cost_usd = money(editable=False)

    key = models.CharField(max_length=SHA256, blank=True, editable=False)
    fresh = models.BooleanField("made anew, whatever there is", default=False, editable=False)
    making = models.CharField(max_length=SHA256, blank=True, editable=False)
    making_run = models.UUIDField(null=True, editable=False)

    objects = SummaryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        verbose_name_plural = "summaries"
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["company", "-id"], name="summary_of_company"),
            models.Index(fields=["user", "-id"], name="summary_of_user"),
            models.Index(fields=["company", "key"], condition=~Q(key=""), name="summary_by_key"),
            models.Index(
                fields=["company", "making"],
                condition=Q(status__in=ACTIVE) & ~Q(making=""),
                name="summary_in_the_making",
            ),
        ]
        constraints = [
            # The lock of `notes.deduplication`: one run at a time makes what several want. It is
            # released by the end of the run, or by the next claim of an abandoned row.
            models.UniqueConstraint(
                fields=["company", "making"],
                condition=Q(status=JobStatus.IN_PROGRESS, making_run=F("run_id")) & ~Q(making=""),
                name="summary_made_once",
            ),
            models.CheckConstraint(
                condition=Q(job_of=None) | Q(job_of=F("note")), name="job_of_its_note"
            ),
        ]

    def __str__(self) -> str:
        return f"Summary of {self.created_at:%d %b %Y, %H:%M}"

    def sum_up(self) -> None:
        """Store what its calls have used since it was started."""
        if self.started_at is None:
            return
        used = self.calls.filter(started_at__gte=self.started_at).totals()
        if any(getattr(self, name) != value for name, value in used.items()):
            Summary.objects.filter(pk=self.pk).update(**used)

    def touch_note(self) -> None:
        """Let a note's `updated_at` tell that its own summary has changed: clients look there.

        Who writes to both rows begins with the summary's, so that no two wait for each other.
        """
        if self.job_of_id:
            Note.objects.filter(pk=self.job_of_id).update(updated_at=Now())


class Source(CompanyOwned):
    """What a summary is made of, in a row of its own so that lists of summaries don't read it.

    A file's bytes stay in the database until its text is read: the worker may run on another
    machine, and what is committed with the summary is never lost before that.
    """

    summary = models.OneToOneField(Summary, models.CASCADE, related_name="source")
    text = models.TextField(blank=True)
    file = models.BinaryField(null=True)
    kind = models.CharField("the file's kind", max_length=10, blank=True)
    omitted = models.TextField("what of the file is not in its text", blank=True)

    def __str__(self) -> str:
        return self.text[:60]


class Part(CompanyOwned):
    """The model's notes on one part of a long text, kept until the summary is there.

    A further try, of this summary or of another of the company that wants the same, does not pay
    for them again. `key` tells what the model was asked.
    """

    summary = models.ForeignKey(Summary, models.CASCADE, related_name="parts")
    key = models.CharField(max_length=SHA256)
    notes = models.TextField()

    class Meta(CompanyOwned.Meta):
        indexes = [models.Index(fields=["company", "key"], name="part_by_key")]

    def __str__(self) -> str:
        return self.notes[:60]


class Call(CompanyOwned):
    """One request to the provider: the cost ledger, which outlives the summary.

    It is `open` from before the request leaves until its answer is read. Where the worker died in
    between it becomes `lost`. What an answer cost that nobody waited for is put down later, by
    the courier (`common.ai.courier`), or where that died too, by the provider's own books, which
    know the row by its id, the request's `X-Client-Request-Id`.
    """

    class Outcome(models.TextChoices):
        OPEN = "open"
        OK = "ok"
        RATE_LIMITED = "rate_limited"
        ERROR = "error"
        TIMEOUT = "timeout"
        INVALID = "invalid"
        LOST = "lost"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    summary = models.ForeignKey(Summary, models.SET_NULL, null=True, related_name="calls")
    model = models.CharField(max_length=100)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.OPEN)
    status = models.PositiveSmallIntegerField("HTTP status", null=True)
    attempt = models.PositiveSmallIntegerField()
    prompt_tokens = figure()
    completion_tokens = figure()
    cached_tokens = figure()
    reasoning_tokens = figure()
    cost_usd = money()
    started_at = models.DateTimeField(db_default=Now())
    duration_ms = models.PositiveIntegerField(null=True)
    error = models.TextField(blank=True)

    objects = CallQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        indexes = [
            models.Index(fields=["company", "started_at"], name="call_of_company"),
            models.Index(fields=["user", "started_at"], name="call_of_user"),
            models.Index(fields=["started_at"], condition=Q(outcome="open"), name="call_open"),
        ]

    def __str__(self) -> str:
        return f"{self.model}, {self.started_at:%d %b %Y, %H:%M:%S}"


class Outcome(CompanyOwned):
    """That a summary was completed or has failed, for `/summaries/usage`.

    The summary itself does not say: it may be made again, or be deleted.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    model = models.CharField(max_length=100)
    failed = models.BooleanField()
    cached = models.BooleanField()
    duration_ms = models.PositiveIntegerField()
    ended_at = models.DateTimeField()

    objects = OutcomeQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        indexes = [
            models.Index(fields=["company", "ended_at"], name="outcome_of_company"),
            models.Index(fields=["user", "ended_at"], name="outcome_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.model}, {self.ended_at:%d %b %Y, %H:%M:%S}"
