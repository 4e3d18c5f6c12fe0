from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest, Now

from accounts.identifiers import validate_one_line
from accounts.models import CompanyOwned
from common.jobs import Job
from common.jobs.status import ACTIVE, JobStatus
from uploads.querysets import (
    OPEN_TO_MACHINES,
    UNENDED,
    CycleQuerySet,
    SessionFileQuerySet,
    SessionQuerySet,
)

validate_region = RegexValidator(
    r"\A[a-z0-9-]*\Z", "A region holds letters a to z, digits and hyphens."
)

LONGEST_KEY = 1024
LONGEST_GLOB = 200
# Figures that an upload keeps while it runs; none of them falls as long as it does.
FIGURES = (
    "total_files",
    "files_uploaded",
    "files_failed",
    "files_skipped",
    "total_size_bytes",
    "bytes_uploaded",
)


class Project(CompanyOwned):
    """What a company collects data for, and the bucket that the data goes into."""

    name = models.CharField(max_length=200, validators=[validate_one_line])
    bucket_name = models.CharField(max_length=63)
    aws_region = models.CharField(
        "AWS region", max_length=40, blank=True, validators=[validate_region]
    )
    description = models.TextField(max_length=20_000, blank=True)
    is_active = models.BooleanField("active", default=True)

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["company", "name"], name="project_name_in_company")
        ]

    def __str__(self) -> str:
        return self.name


class Cycle(CompanyOwned):
    """One round of a project's collecting."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="cycles")
    name = models.CharField(max_length=200, validators=[validate_one_line])
    number = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    prefix = models.CharField(max_length=LONGEST_KEY, blank=True)
    description = models.TextField(max_length=20_000, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    # `CycleQuerySet.with_status` says what it is; a cycle without sessions is pending.
    status: str = "pending"

    objects = CycleQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="cycle_number_in_project"),
            models.CheckConstraint(condition=Q(number__gte=1), name="cycle_number_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.name}"


class SessionStatus(models.TextChoices):
    PENDING = "pending"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Of the same words; a cycle with a queued session is in progress.
CYCLE_STATUSES = [choice for choice in SessionStatus.choices if choice[0] != "queued"]
RETRIABLE = (SessionStatus.PARTIAL, SessionStatus.FAILED, SessionStatus.CANCELLED)
# What a machine outside may say of a session that it runs.
REPORTABLE = (
    SessionStatus.IN_PROGRESS,
    SessionStatus.COMPLETED,
    SessionStatus.PARTIAL,
    SessionStatus.FAILED,
)


def _figure(field: type[models.Field]) -> models.Field:
    return field(default=0, editable=False)


class Session(CompanyOwned, Job):
    """The upload of one folder into its project's bucket.

        pending ──start──▶ queued ──▶ in_progress ──▶ completed
           │                 ▲                 ├────▶ partial: some files failed
           └──▶ cancelled    └──── retry ◀─────┴────▶ failed, cancelled

    Nobody looks after a pending session until it is started. A machine outside may run it too and
    report on it: then it is in progress without a `run_id` and without a lease.
    """

    Status = SessionStatus  # type: ignore[assignment]

    # Of tries that got nowhere: see `Ledger`.
    max_attempts: ClassVar[int] = 10
    time_limit: ClassVar[timedelta | None] = timedelta(days=7)

    class Verify(models.TextChoices):
        """By what a file that was uploaded before is known to be unchanged."""

        MTIME = "mtime"
        CHECKSUM = "checksum"

    status = models.CharField(
        max_length=16, choices=SessionStatus.choices, default=SessionStatus.PENDING, editable=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="sessions")
    cycle = models.ForeignKey(Cycle, models.PROTECT, related_name="sessions")
    local_directory = models.CharField(
        max_length=LONGEST_KEY, help_text="Below the company's own source folder."
    )
    prefix = models.CharField(max_length=LONGEST_KEY, blank=True)
    max_workers = models.PositiveSmallIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    times_to_retry = models.PositiveSmallIntegerField(default=3, validators=[MaxValueValidator(10)])
    include = ArrayField(models.CharField(max_length=LONGEST_GLOB), default=list, blank=True)
    exclude = ArrayField(models.CharField(max_length=LONGEST_GLOB), default=list, blank=True)
    verify = models.CharField(max_length=16, choices=Verify.choices, default=Verify.MTIME)
    total_files = _figure(models.PositiveIntegerField)
    files_uploaded = _figure(models.PositiveIntegerField)
    files_failed = _figure(models.PositiveIntegerField)
    files_skipped = _figure(models.PositiveIntegerField)
    total_size_bytes = _figure(models.PositiveBigIntegerField)
    bytes_uploaded = _figure(models.PositiveBigIntegerField)
    # From then on each file of the folder has a row; null while they are being found.
    listed_at = models.DateTimeField(null=True, editable=False)

    objects = SessionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["company", "-id"], name="session_of_company"),
            models.Index(fields=["cycle", "status"], name="session_of_cycle"),
        ]

    def __str__(self) -> str:
        return f"{self.local_directory} of {self.created_at:%d %b %Y, %H:%M}"

    @property
    def progress(self) -> float:
        """From 0 to 1: the share of the files or, where that is more, of the bytes."""
        if self.status == SessionStatus.COMPLETED:
            return 1.0
        done = self.files_uploaded + self.files_failed + self.files_skipped
        files = done / self.total_files if self.total_files else 0.0
        size = self.bytes_uploaded / self.total_size_bytes if self.total_size_bytes else 0.0
        return round(min(max(files, size), 1.0), 4)

    @property
    def result(self) -> dict[str, int] | None:
        """The figures of a session that has ended."""
        if self.status in UNENDED:
            return None
        return {name: getattr(self, name) for name in FIGURES}

    def edit(self, **fields: Any) -> bool:
        """Change what the session is to do, if it is pending."""
        return self.transition(Q(status=SessionStatus.PENDING), **fields)

    def start(self) -> bool:
        """Queue the session, if it is pending."""
        return self.requeue(Q(status=SessionStatus.PENDING))

    def retry(self) -> bool:
        """Queue the session again, if it has ended otherwise than completed."""
        return self.requeue(Q(status__in=RETRIABLE))

    def cancel(self) -> bool:
        """End the session unless it has ended; a run under way loses its lease."""
        return self.end(Q(status__in=UNENDED), JobStatus.CANCELLED, run_id=None)

    def report(self, *, status: str = "", **figures: int) -> bool:
        """Store what a machine outside says, unless a run of ours holds the session.

        Nor is it stored where the session has ended or a figure would fall.
        """
        rising = Q(**{f"{name}__lte": figure for name, figure in figures.items()})
        condition = OPEN_TO_MACHINES & rising
        fields: dict[str, Any] = {**figures}
        if status:
            fields["started_at"] = Coalesce("started_at", Now())
        if status == SessionStatus.FAILED:
            fields["error"] = "The machine that ran it says that it failed."
        if status and status not in ACTIVE:
            return self.end(condition, status, **fields)
        return self.transition(condition, **fields, **({"status": status} if status else {}))

    def add_uploaded(self, size: int) -> None:
        """Count one more file of `size` bytes, which a client has sent by itself."""
        files = F("files_uploaded") + F("files_failed") + F("files_skipped") + 1
        self.transition(
            Q(),
            files_uploaded=F("files_uploaded") + 1,
            bytes_uploaded=F("bytes_uploaded") + size,
            total_files=Greatest(F("total_files"), files),
            total_size_bytes=Greatest(F("total_size_bytes"), F("bytes_uploaded") + size),
        )

    def count_files(self) -> None:
        """Set the figures to what the rows of the files say."""
        self.transition(Q(), **self.files.figures())
        self.refresh_from_db()


class SessionFile(CompanyOwned):
    """One file of a session: where it was found, where it went, and what became of it."""

    class Status(models.TextChoices):
        PENDING = "pending"
        UPLOADED = "uploaded"
        SKIPPED = "skipped"
        FAILED = "failed"

    session = models.ForeignKey(Session, models.CASCADE, related_name="files", db_index=False)
    path = models.TextField()
    key = models.CharField(max_length=LONGEST_KEY)
    size = models.PositiveBigIntegerField(default=0)
    mtime_ns = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    objects = SessionFileQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["session", "key"], name="file_key_in_session")
        ]

    def __str__(self) -> str:
        return self.key


class DirectUpload(CompanyOwned):
    """Leave to put one object into a folder's bucket, by a signed URL that works once."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="+")
    bucket = models.CharField(max_length=63)
    key = models.CharField(max_length=LONGEST_KEY)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key
