from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from common.ids import uuid7
from common.querysets import SoftDeleteQuerySet


class BaseModel(models.Model):
    """A row with a UUIDv7 id, so that ordering by id is ordering by age, and its two times."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ["-id"]


class SoftDeleteModel(BaseModel):
    """A row that stays when it is deleted; unique rules are to hold among live rows only."""

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SoftDeleteQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        abstract = True


class IdempotencyRecord(models.Model):
    """The answer to a POST that carried an `Idempotency-Key`, kept for a day.

    `scope` names who asked and what (one person's keys never meet another's);
    `fingerprint` is a keyed hash of the body, so that no password can be guessed from it.
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
            models.UniqueConstraint(fields=["scope", "key"], name="idempotency_key_once_per_scope")
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"


class AppliedMigration(models.Model):
    """The SHA-256 of a migration file when this database applied it."""

    name = models.CharField(max_length=255, primary_key=True)
    checksum = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.name
