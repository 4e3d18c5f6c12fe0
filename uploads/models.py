from dataclasses import asdict
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
from common.events import EventKind
from common.jobs import Job
from common.jobs.status import ACTIVE, JobStatus
from uploads.counters import COUNTER_FIELDS, SessionCounters
from uploads.querysets import (
    OPEN_TO_CLIENTS,
    OPEN_TO_FILES,
    UNFINISHED_STATUSES,
    CycleQuerySet,
    SessionFileQuerySet,
    SessionQuerySet,
)

validate_region = RegexValidator(
    r"\A[a-z0-9-]*\Z", "A region may only contain lower-case letters a to z, digits and hyphens."
)

MAX_BUCKET_CHARS = 63
MAX_KEY_CHARS = 1024
MAX_GLOB_CHARS = 200


class Project(CompanyOwned):
    """A data collection project of a company, and the bucket that stores its data."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="project", actions="created updated deleted", label="name"
    )

    name = models.CharField(max_length=200, validators=[validate_one_line])
    bucket_name = models.CharField(max_length=MAX_BUCKET_CHARS)
    aws_region = models.CharField(
        "AWS region", max_length=40, blank=True, validators=[validate_region]
    )
    description = models.TextField(max_length=20_000, blank=True)
    is_active = models.BooleanField("active", default=True)

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["company", "name"], name="unique_project_name_in_company"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Cycle(CompanyOwned):
    """One round of data collection in a project."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="cycle", actions="created updated deleted", label="name"
    )

    project = models.ForeignKey(Project, models.CASCADE, related_name="cycles")
    name = models.CharField(max_length=200, validators=[validate_one_line])
    number = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    prefix = models.CharField(max_length=MAX_KEY_CHARS, blank=True)
    description = models.TextField(max_length=20_000, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    # Set by `CycleQuerySet.with_status`; a new cycle has no sessions and is pending.
    status: str = "pending"

    objects = CycleQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["project", "number"], name="unique_cycle_number_in_project"
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="cycle_number_positive"),
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


# A cycle with a queued session is in progress.
CYCLE_STATUSES = [choice for choice in SessionStatus.choices if choice[0] != "queued"]
RETRYABLE_STATUSES = (SessionStatus.PARTIAL, SessionStatus.FAILED, SessionStatus.CANCELLED)
# The statuses that a client may report for a session that it runs itself.
REPORTABLE_STATUSES = (
    SessionStatus.IN_PROGRESS,
    SessionStatus.COMPLETED,
    SessionStatus.PARTIAL,
    SessionStatus.FAILED,
)


def _counter_field(field: type[models.Field]) -> models.Field:
    return field(default=0, editable=False)


class Session(CompanyOwned, Job):
    """The upload of one folder into its project's bucket.

        pending ──start──▶ queued ──▶ in_progress ──▶ completed
           │                 ▲                 ├────▶ partial: some files failed
           └──▶ cancelled    └──── retry ◀─────┴────▶ failed, cancelled

    Workers ignore a pending session until it is started. Instead of a worker, a client may copy the
    files itself and report its progress, or send them to presigned URLs and complete the session
    (`completion`); it then has neither a `run_id` nor a lease. A session with presigned URLs is
    never queued: a retry makes it pending again.
    """

    event_kind: ClassVar[EventKind] = EventKind(
        name="session",
        actions=(
            "created updated deleted started retried reported presigned cancelled"
            " completed partial failed"
        ),
        reports_progress=True,
    )

    Status = SessionStatus  # type: ignore[assignment]

    # A run that makes progress lowers the number of attempts again (`FileRows`).
    max_attempts: ClassVar[int] = 10
    time_limit: ClassVar[timedelta | None] = timedelta(days=7)
    queue_name = "uploads"
    fairness_keys = ("company_id", "user_id")

    class Verify(models.TextChoices):
        """How to tell that a file has not changed since it was uploaded."""

        MTIME = "mtime"
        CHECKSUM = "checksum"

    status = models.CharField(
        max_length=16, choices=SessionStatus.choices, default=SessionStatus.PENDING, editable=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="sessions")
    cycle = models.ForeignKey(Cycle, models.PROTECT, related_name="sessions")
    local_directory = models.CharField(
        max_length=MAX_KEY_CHARS,
        blank=True,
        help_text="Relative to the company's source folder, which is `.`; empty for a session "
        "whose files are all sent to presigned URLs.",
    )
    prefix = models.CharField(max_length=MAX_KEY_CHARS, blank=True)
    max_workers = models.PositiveSmallIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    times_to_retry = models.PositiveSmallIntegerField(default=3, validators=[MaxValueValidator(10)])
    include = ArrayField(models.CharField(max_length=MAX_GLOB_CHARS), default=list, blank=True)
    exclude = ArrayField(models.CharField(max_length=MAX_GLOB_CHARS), default=list, blank=True)
    verify = models.CharField(max_length=16, choices=Verify.choices, default=Verify.MTIME)
    total_files = _counter_field(models.PositiveIntegerField)
    files_uploaded = _counter_field(models.PositiveIntegerField)
    files_failed = _counter_field(models.PositiveIntegerField)
    files_skipped = _counter_field(models.PositiveIntegerField)
    total_size_bytes = _counter_field(models.PositiveBigIntegerField)
    bytes_uploaded = _counter_field(models.PositiveBigIntegerField)
    # When all files of the folder had a row; null until then.
    listed_at = models.DateTimeField(null=True, editable=False)

    objects = SessionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        indexes = [
            *Job.Meta.indexes,
            models.Index(
                fields=["company", "user", "run_after"],
                condition=Q(status=SessionStatus.QUEUED),
                name="session_waiting",
            ),
            models.Index(fields=["company", "-id"], name="session_by_company"),
            models.Index(fields=["cycle", "status"], name="session_by_cycle"),
        ]

    def __str__(self) -> str:
        return f"{self.title} of {self.created_at:%d %b %Y, %H:%M}"

    @property
    def title(self) -> str:
        return self.local_directory or "Direct upload"

    @property
    def progress(self) -> float:
        """Return the finished share of files or bytes, whichever is larger (0 to 1)."""
        if self.status == SessionStatus.COMPLETED:
            return 1.0
        finished = self.files_uploaded + self.files_failed + self.files_skipped
        files_share = finished / self.total_files if self.total_files else 0.0
        bytes_share = self.bytes_uploaded / self.total_size_bytes if self.total_size_bytes else 0.0
        return round(min(max(files_share, bytes_share), 1.0), 4)

    @property
    def counters(self) -> SessionCounters:
        return SessionCounters(**{name: getattr(self, name) for name in COUNTER_FIELDS})

    @property
    def result(self) -> dict[str, int] | None:
        """Return the counters of a session that has ended, else None."""
        return None if self.status in UNFINISHED_STATUSES else asdict(self.counters)

    @classmethod
    def outcome(cls, counters: SessionCounters) -> tuple[str, str]:
        """Return the status and the error of a session that ends with these counters."""
        failed, total = counters.files_failed, counters.total_files
        if not failed:
            return cls.Status.COMPLETED, ""
        status = cls.Status.PARTIAL if failed < total else cls.Status.FAILED
        return status, f"{failed} of {total} files failed; the file list gives the reason for each."

    @property
    def is_filled_by_clients(self) -> bool:
        """Whether clients send its files to presigned URLs."""
        return (
            not self.local_directory
            or self.files.filter(is_direct=True).exists()
            or self.presigned_uploads.exists()
        )

    def edit(self, **fields: Any) -> bool:
        """Change the configuration of a pending session."""
        return self.transition(Q(status=SessionStatus.PENDING), **fields)

    def start(self) -> bool:
        """Queue a pending session."""
        return self.requeue(Q(status=SessionStatus.PENDING))

    def retry(self) -> bool:
        """Queue a session again that ended without success."""
        return self.requeue(Q(status__in=RETRYABLE_STATUSES))

    def reopen(self) -> bool:
        """Let clients send files again to a session that ended without success."""
        return self.transition(
            Q(status__in=RETRYABLE_STATUSES),
            status=SessionStatus.PENDING,
            finished_at=None,
            error="",
        )

    def complete(self, status: str, **columns: Any) -> bool:
        """End a session that takes files from clients."""
        return self.end(OPEN_TO_FILES, status, started_at=Coalesce("started_at", Now()), **columns)

    def cancel(self) -> bool:
        """Cancel an unfinished session; its current run loses the lease."""
        return self.end(Q(status__in=UNFINISHED_STATUSES), JobStatus.CANCELLED, run_id=None)

    def report(self, *, status: str = "", **counters: int) -> bool:
        """Store the status and counters that a client reports.

        Returns False, and stores nothing, if a worker runs the session, if it has ended, or if a
        counter would decrease.
        """
        not_decreasing = Q(**{f"{name}__lte": value for name, value in counters.items()})
        condition = OPEN_TO_CLIENTS & not_decreasing
        fields: dict[str, Any] = {**counters}
        if status:
            fields["started_at"] = Coalesce("started_at", Now())
        if status == SessionStatus.FAILED:
            fields["error"] = "The client that ran this session reported that it failed."
        if status and status not in ACTIVE:
            return self.end(condition, status, **fields)
        return self.transition(condition, **fields, **({"status": status} if status else {}))

    def count_uploaded_file(self, size: int) -> None:
        """Add one file of `size` bytes, sent by a client, to the counters."""
        finished = F("files_uploaded") + F("files_failed") + F("files_skipped") + 1
        self.transition(
            Q(),
            files_uploaded=F("files_uploaded") + 1,
            bytes_uploaded=F("bytes_uploaded") + size,
            total_files=Greatest(F("total_files"), finished),
            total_size_bytes=Greatest(F("total_size_bytes"), F("bytes_uploaded") + size),
        )

    def refresh_counters(self) -> None:
        """Set the counters to the sums over the session's file rows."""
        self.transition(Q(), **asdict(self.files.counters()))
        self.refresh_from_db()


class SessionFile(CompanyOwned):
    """One file of a session: its path in the source, its object key and its status."""

    event_kind: ClassVar[EventKind] = EventKind(name="file", actions="received", label="path")

    class Status(models.TextChoices):
        PENDING = "pending"
        UPLOADED = "uploaded"
        SKIPPED = "skipped"
        FAILED = "failed"

    session = models.ForeignKey(Session, models.CASCADE, related_name="files", db_index=False)
    path = models.TextField()
    key = models.CharField(max_length=MAX_KEY_CHARS)
    is_direct = models.BooleanField(
        db_default=False, help_text="Whether a client sends it to a presigned URL."
    )
    size = models.PositiveBigIntegerField(default=0)
    mtime_ns = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    objects = SessionFileQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["session", "key"], name="unique_file_key_in_session")
        ]

    def __str__(self) -> str:
        return self.key


class PresignedUpload(CompanyOwned):
    """A URL by which a client may send one object.

    One of Bureau works once, and only as long as its user could ask for it again; one without a
    user works no more. Of a URL of S3 Bureau only knows that it exists.

    replaced_version: the `StoredObject.version` that the key had before the first URL for it.
    """

    session = models.ForeignKey(Session, models.CASCADE, related_name="presigned_uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    bucket = models.CharField(max_length=MAX_BUCKET_CHARS)
    key = models.CharField(max_length=MAX_KEY_CHARS)
    replaced_version = models.CharField(max_length=200, blank=True, db_default="")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key
