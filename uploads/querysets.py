from typing import Self

from django.db.models import Case, CharField, Exists, OuterRef, Q, Value, When

from accounts.querysets import CompanyOwnedQuerySet
from common.jobs import JobQuerySet


class CycleQuerySet(CompanyOwnedQuerySet):
    def with_status(self) -> Self:
        """With `status`, as the cycle's sessions have it at this moment.

        It is not stored: so there is no moment in which it differs from what it follows.
        """
        return self.annotate(status=_status_of_sessions())


def _status_of_sessions() -> Case:
    """A session that was cancelled counts only where there is no other."""
    return Case(
        When(_has("queued", "in_progress"), then=Value("in_progress")),
        When(Q(_has("pending"), _has("completed", "partial", "failed")), then=Value("in_progress")),
        When(_has("pending"), then=Value("pending")),
        When(Q(_has("partial")) | Q(_has("completed"), _has("failed")), then=Value("partial")),
        When(_has("completed"), then=Value("completed")),
        When(_has("failed"), then=Value("failed")),
        When(_has("cancelled"), then=Value("cancelled")),
        default=Value("pending"),
        output_field=CharField(),
    )


def _has(*statuses: str) -> Exists:
    from uploads.models import Session

    return Exists(Session.objects.filter(cycle=OuterRef("pk"), status__in=statuses))


class SessionQuerySet(JobQuerySet, CompanyOwnedQuerySet):
    pass
