from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.utils.functional import cached_property

from accounts.identifiers import validate_one_line
from accounts.models import Company, CompanyOwned
from common.ai.ledger import Purpose
from common.ai.templates import TEMPLATES
from common.events import Audience, EventKind
from common.jobs import Job
from common.jobs.status import ACTIVE, JobStatus
from notes.querysets import (
    MAX_EXCERPT_CHARS,
    BatchQuerySet,
    NoteQuerySet,
    ProviderCallQuerySet,
    SummaryOutcomeQuerySet,
    SummaryQuerySet,
    SummaryTemplateQuerySet,
)
from notes.reused_usage import add, to_columns
from notes.validators import MAX_LANGUAGE_CHARS, validate_template_name

MAX_NOTE_CHARS = 500_000
MAX_SOURCE_CHARS = 2_000_000  # about 800 pages
MAX_INSTRUCTIONS_CHARS = 2_000
MAX_TEMPLATE_NAME_CHARS = 60
SHA256_HEX_CHARS = 64


def cost_field(**options: Any) -> models.DecimalField:
    """Return a column for USD, null for a model without a price.

    Nine decimals are exact for one token at any price per million tokens with three decimals.
    """
    return models.DecimalField(max_digits=18, decimal_places=9, default=0, null=True, **options)


def token_count_field(**options: Any) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(default=0, editable=False, **options)


class Note(CompanyOwned):
    """A text by a user. `own_summary` is the job that summarises it."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="note",
        actions="created updated deleted",
        audience=Audience.OWNER,
        label="title",
        hidden=["raw_text"],
    )

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="notes")
    title = models.CharField(max_length=200, blank=True)
    raw_text = models.TextField("text", max_length=MAX_NOTE_CHARS)

    objects = NoteQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        indexes = [
            models.Index(fields=["company", "-id"], name="note_of_company"),
            models.Index(fields=["user", "-id"], name="note_of_user"),
        ]

    def __str__(self) -> str:
        return self.title or self.excerpt[:60]

    @cached_property
    def excerpt(self) -> str:
        """The beginning of the text; `NoteQuerySet.without_text` loads only this."""
        return self.raw_text[:MAX_EXCERPT_CHARS]


class SummaryTemplate(CompanyOwned):
    """A company's own instructions for summaries.

    Summaries store a copy of the instructions, so a template may be changed or deleted.
    """

    event_kind: ClassVar[EventKind] = EventKind(
        name="template", actions="created updated deleted", audience=Audience.PEOPLE, label="name"
    )

    name = models.CharField(
        max_length=MAX_TEMPLATE_NAME_CHARS, validators=[validate_one_line, validate_template_name]
    )
    description = models.CharField(max_length=200, blank=True)
    instructions = models.TextField(
        max_length=MAX_INSTRUCTIONS_CHARS,
        help_text='What the summary should contain. If this mentions "- ", the summary is a list.',
    )
    # True only in the rows of `summary_templates.get_built_in_templates`.
    built_in = False

    objects = SummaryTemplateQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                "company",
                Lower("name"),
                name="template_name_unique",
                violation_error_code="unique",
                violation_error_message="The company already has a template with this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Batch(CompanyOwned):
    """Texts that were sent together, a `Summary` for each; `BatchStatus` adds up their states."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="batch", actions="created retried cancelled", audience=Audience.OWNER
    )

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    template = models.CharField(max_length=MAX_TEMPLATE_NAME_CHARS)
    language = models.CharField(max_length=MAX_LANGUAGE_CHARS, blank=True)
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
    """A summary and the job that makes it.

    A note's own summary (`own_note`) is made from the note's text at the time of the run. When
    that text changes, the same row is queued again and keeps the old summary until the new one is
    stored. All other summaries are made from their `source`.

    `result_key` is a digest of the stored summary's input, `in_flight_key` of the input that the
    current run works on or waits for. `producer_run_id` equals `run_id` if this run makes the
    summary for all jobs with the same `in_flight_key` (see `notes.deduplication`).

    For `reuse_is_private` and `reused_usage` see `notes.private_reuse`.
    """

    event_kind: ClassVar[EventKind] = EventKind(
        name="summary",
        actions="created requeued cancelled completed failed deleted",
        audience=Audience.OWNER,
        hidden=["summary"],
        reports_progress=True,
    )

    max_attempts: ClassVar[int] = 3
    bulk_field = "batch_id"
    fairness_keys = ("company_id", "user_id")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="summaries")
    note = models.ForeignKey(Note, models.CASCADE, null=True, related_name="summaries")
    own_note = models.OneToOneField(
        Note, models.CASCADE, null=True, editable=False, related_name="own_summary"
    )
    batch = models.ForeignKey(Batch, models.CASCADE, null=True, related_name="summaries")
    index = models.PositiveSmallIntegerField("position in the batch", null=True, editable=False)
    file_name = models.CharField(max_length=255, blank=True, editable=False)
    template = models.CharField(
        max_length=MAX_TEMPLATE_NAME_CHARS, default="paragraph", editable=False
    )
    instructions = models.TextField(default=TEMPLATES["paragraph"], editable=False)
    language = models.CharField(max_length=MAX_LANGUAGE_CHARS, blank=True, editable=False)
    # Null until the worker has read the file.
    max_words = models.PositiveSmallIntegerField(null=True, editable=False)
    text_length = models.PositiveIntegerField(null=True, editable=False)

    progress = models.FloatField(default=0, editable=False)
    summary = models.TextField(blank=True, editable=False)
    omitted = models.TextField(blank=True, editable=False)
    model = models.CharField(max_length=100, blank=True, editable=False)
    cached = models.BooleanField(default=False, editable=False)
    reuse_is_private = models.BooleanField(
        "reused from rows that its user can't see; the usage includes that of making it",
        db_default=False,
        editable=False,
    )
    reused_usage = models.JSONField(null=True, editable=False)
    prompt_tokens = token_count_field()
    completion_tokens = token_count_field()
    cached_tokens = token_count_field()
    reasoning_tokens = token_count_field()
    cost_usd = cost_field(editable=False)

    result_key = models.CharField(max_length=SHA256_HEX_CHARS, blank=True, editable=False)
    in_flight_key = models.CharField(max_length=SHA256_HEX_CHARS, blank=True, editable=False)
    producer_run_id = models.UUIDField(null=True, editable=False)
    bypass_cache = models.BooleanField(
        "make it again, even if a stored summary matches", default=False, editable=False
    )

    objects = SummaryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        verbose_name_plural = "summaries"
        indexes = [
            *Job.Meta.indexes,
            # Two indexes for `common.jobs.fairness`, because a query reads one queue.
            models.Index(
                fields=["company", "user", "run_after"],
                condition=Q(status=JobStatus.QUEUED, batch=None),
                name="summary_waiting",
            ),
            models.Index(
                fields=["company", "user", "run_after"],
                condition=Q(status=JobStatus.QUEUED, batch__isnull=False),
                name="summary_of_batch_waiting",
            ),
            models.Index(fields=["company", "-id"], name="summary_of_company"),
            models.Index(fields=["user", "-id"], name="summary_of_user"),
            models.Index(
                fields=["company", "result_key"],
                condition=~Q(result_key=""),
                name="summary_by_result_key",
            ),
            models.Index(
                fields=["company", "in_flight_key"],
                condition=Q(status__in=ACTIVE) & ~Q(in_flight_key=""),
                name="summary_by_in_flight_key",
            ),
        ]
        constraints = [
            # The lock of `notes.deduplication`: one producer at a time for each key of a company.
            # It is released when the run ends, or when another run claims an abandoned job.
            models.UniqueConstraint(
                fields=["company", "in_flight_key"],
                condition=Q(status=JobStatus.IN_PROGRESS, producer_run_id=F("run_id"))
                & ~Q(in_flight_key=""),
                name="summary_one_producer_per_key",
            ),
            models.CheckConstraint(
                condition=Q(own_note=None) | Q(own_note=F("note")), name="summary_own_note_is_note"
            ),
        ]

    def __str__(self) -> str:
        return f"Summary of {self.created_at:%d %b %Y, %H:%M}"

    @property
    def processing_ms(self) -> int | None:
        """Milliseconds from the first start to the end, including the pauses between attempts."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0, round((self.finished_at - self.started_at).total_seconds() * 1000))

    def update_usage(self) -> None:
        """Store the tokens and cost of all calls since the job was started.

        Those of a private reuse are added: see `notes.private_reuse`.
        """
        if self.started_at is None:
            return
        usage = self.calls.filter(started_at__gte=self.started_at).totals()
        if self.reuse_is_private:
            reused = to_columns(self.reused_usage)
            usage = {name: add(value, reused[name]) for name, value in usage.items()}
        if any(getattr(self, name) != value for name, value in usage.items()):
            Summary.objects.filter(pk=self.pk).update(**usage)

    def update_note_timestamp(self) -> None:
        """Set the note's `updated_at`, so that clients notice a change of its own summary.

        Code that writes both rows must write the summary first, to prevent deadlocks.
        """
        if self.own_note_id:
            Note.objects.filter(pk=self.own_note_id).update(updated_at=Now())


class SummarySource(CompanyOwned):
    """The text or file of a summary, in a table of its own so that lists don't load it.

    A file stays in the database until its text is extracted, because the worker may run on
    another machine.
    """

    summary = models.OneToOneField(Summary, models.CASCADE, related_name="source")
    text = models.TextField(blank=True)
    file = models.BinaryField(null=True)
    file_type = models.CharField(max_length=10, blank=True)
    omitted = models.TextField("parts of the file that are not in the text", blank=True)

    def __str__(self) -> str:
        return self.text[:60]


class PartNotes(CompanyOwned):
    """The AI model's notes on one part of a long text, kept until the summary is stored.

    Later attempts, also of other summaries of the company, use them instead of paying again. `key`
    is a digest of the request.
    """

    summary = models.ForeignKey(Summary, models.CASCADE, related_name="part_notes")
    key = models.CharField(max_length=SHA256_HEX_CHARS)
    notes = models.TextField()

    class Meta(CompanyOwned.Meta):
        verbose_name_plural = "part notes"
        indexes = [models.Index(fields=["company", "key"], name="part_notes_by_key")]

    def __str__(self) -> str:
        return self.notes[:60]


class ProviderCall(CompanyOwned):
    """A request to an AI provider, of any app: a row of the ledger, which outlives its summary.

    Tokens and `cost_usd` are the usage that the provider reported. The `estimated_*` columns are
    upper bounds, stored before the request leaves. `is_estimate` is set if only these are known:
    because the worker died or the summary failed or was cancelled first (`lost`), or because the
    response was late or incomplete. `reconcile_calls` later stores the usage from the provider's
    export, in which the row's id is the request's `X-Client-Request-Id`.
    """

    class Outcome(models.TextChoices):
        OPEN = "open"
        OK = "ok"
        RATE_LIMITED = "rate_limited"
        ERROR = "error"
        TIMEOUT = "timeout"
        INVALID = "invalid"
        LOST = "lost"

    # Without a company the operator pays; without a user the system made the call by itself.
    company = models.ForeignKey(  # type: ignore[assignment]
        Company, models.PROTECT, null=True, related_name="+", editable=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    purpose = models.CharField(max_length=20, choices=Purpose.choices, db_default=Purpose.SUMMARY)
    summary = models.ForeignKey(Summary, models.SET_NULL, null=True, related_name="calls")
    model = models.CharField(max_length=100)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.OPEN)
    status = models.PositiveSmallIntegerField("HTTP status", null=True)
    attempt = models.PositiveSmallIntegerField()
    prompt_tokens = token_count_field()
    completion_tokens = token_count_field()
    cached_tokens = token_count_field()
    reasoning_tokens = token_count_field()
    cost_usd = cost_field()
    is_estimate = models.BooleanField("only an estimate is known", default=False)
    estimated_prompt_tokens = token_count_field()
    estimated_completion_tokens = token_count_field()
    estimated_cost_usd = cost_field()
    started_at = models.DateTimeField(db_default=Now())
    duration_ms = models.PositiveIntegerField(null=True)
    error = models.TextField(blank=True)

    objects = ProviderCallQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        indexes = [
            models.Index(fields=["company", "started_at"], name="call_by_company"),
            models.Index(fields=["user", "started_at"], name="call_by_user"),
            models.Index(fields=["started_at"], condition=Q(outcome="open"), name="call_open"),
        ]

    def __str__(self) -> str:
        return f"{self.model}, {self.started_at:%d %b %Y, %H:%M:%S}"


class SummaryOutcome(CompanyOwned):
    """The record of one completed or failed summary, for `/summaries/usage`.

    It stays when the summary is made again or deleted. `private_reuse` is the `reused_usage` of a
    summary whose reuse is private.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    model = models.CharField(max_length=100)
    failed = models.BooleanField()
    cached = models.BooleanField()
    private_reuse = models.JSONField(null=True)
    duration_ms = models.PositiveIntegerField()
    ended_at = models.DateTimeField()

    objects = SummaryOutcomeQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        indexes = [
            models.Index(fields=["company", "ended_at"], name="summary_outcome_of_company"),
            models.Index(fields=["user", "ended_at"], name="summary_outcome_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.model}, {self.ended_at:%d %b %Y, %H:%M:%S}"
