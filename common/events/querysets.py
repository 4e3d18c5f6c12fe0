from collections.abc import Iterable
from typing import Any, Self

from django.db import connection, models, transaction
from django.db.models import Q

from common.events.type_patterns import as_query
from common.events.visibility import Visibility

# The trigger of the table allows changes to a transaction with this setting.
ALLOW_CHANGES = "SET LOCAL bureau.events_may_change = 'on'"


class OldestRunningTransaction(models.Func):
    """The id below which all transactions have ended."""

    template = "(pg_snapshot_xmin(pg_current_snapshot())::text)::bigint"
    output_field = models.BigIntegerField()


class EventQuerySet(models.QuerySet):
    def settled(self) -> Self:
        """Return the events before which none can appear any more, in their order."""
        return self.filter(xid__lt=OldestRunningTransaction()).order_by("xid", "sequence")

    def after(self, event: Any) -> Self:
        """Return the events that come after another one in the order."""
        return self.filter(
            Q(xid__gt=event.xid) | Q(sequence__gt=event.sequence), xid__gte=event.xid
        )

    def visible_to(self, user: Any) -> Self:
        """Return the events that a user may see; all for a superuser."""
        if not user.is_authenticated:
            return self.none()
        return self.filter(Visibility.of(user).as_query())

    def of_types(self, patterns: Iterable[str]) -> Self:
        """Return the events with one of the types; `note.*` stands for all types of notes."""
        return self.filter(as_query(patterns))

    def lag_seconds(self) -> float:
        """Return how long the oldest event that is not settled has waited; 0 without one."""
        waiting = self.filter(xid__gte=OldestRunningTransaction()).order_by("xid", "sequence")
        age = models.ExpressionWrapper(
            models.functions.Now() - models.F("occurred_at"), models.DurationField()
        )
        oldest = waiting.values_list(age, flat=True).first()
        return max(0.0, oldest.total_seconds()) if oldest else 0.0

    @transaction.atomic
    def move_before_new_transactions(self) -> int:
        """Renumber the transactions of restored events, and return how many events these are.

        Another server counts its transactions from the start, so restored events could come after
        new ones. The order among them stays.
        """
        newest = self.filter(xid__gt=0).order_by("-xid").values_list("xid", flat=True).first()
        with connection.cursor() as cursor:
            cursor.execute(ALLOW_CHANGES)
        return self.update(xid=models.F("xid") - newest - 1) if newest else 0
