from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from common.ids import uuid7
from common.querysets import SoftDeleteQuerySet


class BaseModel(models.Model):
    """A row with a UUIDv7 id, whose order is the order of creation, and two timestamps."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ["-id"]


class SoftDeleteModel(BaseModel):
    """A row that is only marked when it is deleted.

    Unique constraints must apply to live rows only.
    """

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SoftDeleteQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        abstract = True


class IdempotencyRecord(models.Model):
    """The stored response to a POST with an `Idempotency-Key`, kept for a day.

    `scope` contains the route and the user, or without sign-in the client's address. So the keys of
    different clients never collide. `fingerprint` is a keyed hash of the body, so that no password
    can be guessed from it.
    """

    scope = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "key"], name="idempotency_key_unique_per_scope"
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"


class PendingRestore(models.Model):
    """A restore whose rows are committed, and whose files may not be in their place yet."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    def __str__(self) -> str:
        return str(self.pk)


class AppliedMigration(models.Model):
    """The SHA-256 of a migration file when this database applied it."""

    name = models.CharField(max_length=255, primary_key=True)
    checksum = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.name


class Turn(models.Model):
    """When a company or a person was last served, by kind of job and queue.

    `holder` is the id of the company or person; see `common.jobs.fairness`.
    """

    kind = models.CharField(max_length=100)
    queue = models.CharField(max_length=50)
    holder = models.UUIDField()
    served_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "queue", "holder"], name="turn_unique")
        ]

    def __str__(self) -> str:
        return f"{self.holder} in {self.queue}"
