from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import CompanyOwned
from accounts.querysets import CompanyOwnedQuerySet
from common.events import Audience, EventKind, announce_progress
from common.jobs import Job, JobQuerySet
from common.jobs.status import JobStatus

MAX_ERRORS_SHOWN = 100
COUNTERS = ("created", "updated", "unchanged", "failed")


def counter_field(**options: Any) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(default=0, editable=False, **options)


class ProductImportQuerySet(JobQuerySet, CompanyOwnedQuerySet):
    pass


class ProductImport(CompanyOwned, Job):
    """The import of one file, and the job that does it.

    A dry run ends with the counts that the import would have. Confirming it queues the same row
    again without `dry_run`.
    """

    event_kind: ClassVar[EventKind] = EventKind(
        name="product_import",
        actions="created checked confirmed cancelled completed failed",
        audience=Audience.ADMINS,
        reports_progress=True,
    )

    # A run that ends because its time is up does not count, so these are runs that were killed.
    max_attempts: ClassVar[int] = 5
    fairness_keys = ("company_id", "user_id")

    class Mode(models.TextChoices):
        UPSERT = "upsert", "Create new products and update existing ones"
        CREATE = "create", "Create new products only"
        UPDATE = "update", "Update existing products only"

    class FileType(models.TextChoices):
        CSV = "csv", "CSV"
        XLSX = "xlsx", "XLSX"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    mode = models.CharField(max_length=16, choices=Mode.choices, default=Mode.UPSERT)
    dry_run = models.BooleanField(
        default=False, help_text="Count what the import would do, and write nothing."
    )
    file_name = models.CharField(max_length=255, blank=True, editable=False)
    file_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    file_type = models.CharField(max_length=8, choices=FileType.choices, editable=False)
    encoding = models.CharField(max_length=32, blank=True, editable=False)
    separator = models.CharField(max_length=1, blank=True, editable=False)
    header = ArrayField(models.TextField(), default=list, editable=False)
    # The field of each column of the file; "" is a column that is not imported.
    fields = ArrayField(models.TextField(), default=list, editable=False)
    total_rows = counter_field()
    created = counter_field()
    updated = counter_field()
    unchanged = counter_field()
    failed = counter_field()
    # When all rows were staged; null until then.
    staged_at = models.DateTimeField(null=True, editable=False)

    objects = ProductImportQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        verbose_name = "import"
        indexes = [
            *Job.Meta.indexes,
            models.Index(
                fields=["company", "user", "run_after"],
                condition=Q(status=JobStatus.QUEUED),
                name="product_import_waiting",
            ),
            models.Index(fields=["company", "-id"], name="product_import_of_company"),
        ]

    def __str__(self) -> str:
        return f"{self.file_name or 'File'} of {self.created_at:%d %b %Y, %H:%M}"

    @property
    def columns(self) -> list[str]:
        """The fields that the file has a column for."""
        return [name for name in self.fields if name]

    def title_of(self, field: str) -> str:
        """Return the title of the field's column in the file, or the field if it has none."""
        return self.header[self.fields.index(field)] if field in self.fields else field

    @property
    def ignored_columns(self) -> list[str]:
        pairs = zip(self.header, self.fields, strict=True)
        return [title for title, name in pairs if title and not name]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The first errors, in the order of the lines."""
        rows = self.rows.failed().order_by("id")[:MAX_ERRORS_SHOWN]  # type: ignore[attr-defined]
        return [error for row in rows for error in row.list_errors()][:MAX_ERRORS_SHOWN]

    @property
    def progress(self) -> float:
        """Return the share of rows that are done (0 to 1)."""
        if self.status == JobStatus.COMPLETED:
            return 1.0
        done = sum(getattr(self, name) for name in COUNTERS)
        return round(min(done / self.total_rows, 1.0), 4) if self.staged_at and done else 0.0

    def confirm(self) -> bool:
        """Queue a finished dry run again, to write what it has counted."""
        return self.requeue(
            Q(status=JobStatus.COMPLETED, dry_run=True, staged_at__isnull=False),
            dry_run=False,
            created=0,
            updated=0,
            unchanged=0,
            failed=0,
        )

    def add_counts(self, counts: dict[str, int]) -> None:
        """Add to the counters and renew the lease; raise `LostLease` if this run lost the job."""
        self.renew(**{name: F(name) + number for name, number in counts.items()})
        announce_progress(self)

    def finish_staging(self, **columns: Any) -> None:
        self.renew(staged_at=Now(), **columns)
        self.refresh_from_db()


class ImportChunk(models.Model):
    """A part of an uploaded file, stored until all its rows are staged."""

    product_import = models.ForeignKey(
        ProductImport, models.CASCADE, related_name="chunks", db_index=False
    )
    index = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["product_import", "index"], name="import_chunk_unique_index"
            )
        ]

    def __str__(self) -> str:
        return f"Part {self.index} of {self.product_import_id}"


FAILED = Q(errors__isnull=False) | Q(conflicts__isnull=False)


class ImportRowQuerySet(models.QuerySet):
    def waiting(self) -> Self:
        """Keep the rows that can be imported and are not yet."""
        return self.filter(errors__isnull=True, conflicts__isnull=True)

    def failed(self) -> Self:
        return self.filter(FAILED)


class ImportRow(models.Model):
    """A row of a file that is not imported yet, or that can't be.

    `values` are the valid values by field. A row with `errors` has its cells in `cells` instead.
    `conflicts` are the errors that depend on the stored products, as of the last comparison.
    """

    # Without a constraint: checking it would take a tenth of the time of an import.
    product_import = models.ForeignKey(
        ProductImport, models.CASCADE, related_name="rows", db_index=False, db_constraint=False
    )
    line = models.PositiveIntegerField()
    sku = models.TextField(blank=True)
    values = models.JSONField(null=True)
    cells = models.JSONField(null=True)
    errors = models.JSONField(null=True)
    conflicts = models.JSONField(null=True)

    objects = ImportRowQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["product_import", "id"], name="import_row_of_import"),
            models.Index(
                fields=["product_import", "id"], condition=FAILED, name="import_row_failed"
            ),
        ]

    def __str__(self) -> str:
        return f"Line {self.line} of {self.product_import_id}"

    def list_errors(self) -> list[dict[str, Any]]:
        """Return the errors, each with the line of the row."""
        return [{"line": self.line, **error} for error in self.errors or self.conflicts or []]
