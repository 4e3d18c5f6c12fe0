from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now

from common.events.kinds import Audience
from common.events.querysets import EventQuerySet
from common.ids import uuid7


class CurrentTransactionId(models.Func):
    """The id of the current transaction, which takes one if it has none yet."""

    template = "(pg_current_xact_id()::text)::bigint"
    output_field = models.BigIntegerField()


class ActorType(models.TextChoices):
    USER = "user"
    API_KEY = "api_key"
    ANONYMOUS = "anonymous"
    SYSTEM = "system"


class Outcome(models.TextChoices):
    SUCCESS = "success"
    DENIED = "denied"
    FAILED = "failed"


class Event(models.Model):
    """A fact, recorded in the transaction that made it true.

    The order of events is `(xid, sequence)`, and only those below the oldest running transaction
    are read: a reader that went by `sequence` alone would miss what commits late. The `sequence`
    of the events of one row is their order. There are no foreign keys, since an event outlives
    what it tells of.

    What describes people stands apart in `actor_values` (such as the IP address) and
    `target_values` (their label, and the changes of their row), and is erased with the person. The
    digests, which stay, show that the values were not changed.
    """

    sequence = models.BigAutoField(primary_key=True)
    xid = models.BigIntegerField(db_default=CurrentTransactionId(), editable=False)
    id = models.UUIDField(default=uuid7, unique=True, editable=False)
    occurred_at = models.DateTimeField(db_default=Now(), editable=False)
    action = models.CharField(max_length=64)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.SUCCESS)
    company_id = models.UUIDField(null=True)
    audience = models.CharField(max_length=8, choices=Audience.choices)
    owner_id = models.UUIDField(null=True)
    actor_type = models.CharField(max_length=9, choices=ActorType.choices)
    actor_id = models.UUIDField(null=True)
    target_type = models.CharField(max_length=32, blank=True)
    target_id = models.CharField(max_length=36, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    request_id = models.CharField(max_length=128, blank=True)
    actor_values = models.JSONField(null=True)
    actor_digest = models.CharField(max_length=64, blank=True)
    person_id = models.UUIDField(null=True)
    target_values = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    target_digest = models.CharField(max_length=64, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        app_label = "common"
        ordering = ["xid", "sequence"]
        indexes = [
            models.Index(fields=["xid", "sequence"], name="event_order"),
            models.Index(fields=["company_id", "xid", "sequence"], name="event_by_company"),
            models.Index(fields=["target_id", "sequence"], name="event_by_target"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.id}"
