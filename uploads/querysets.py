from typing import Any, Self

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    Exists,
    OuterRef,
    Q,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from accounts.querysets import CompanyOwnedQuerySet
from common.jobs import JobQuerySet
from common.jobs.status import ACTIVE, JobStatus

UNENDED = ("pending", *ACTIVE)
# Neither ended nor held by a run of ours.
OPEN_TO_MACHINES = Q(status__in=UNENDED, run_id=None)


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
    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def begun(self) -> Self:
        """Those that have files in the store and not all of them."""
        has_files = Q(files_uploaded__gt=0) | Q(files_skipped__gt=0)
        return self.exclude(status=JobStatus.COMPLETED).filter(has_files)

    def open_to_machines(self) -> Self:
        """Those that a machine outside may run or upload to."""
        return self.filter(OPEN_TO_MACHINES)

    def statistics(self) -> dict[str, int]:
        """Figures over all these sessions, as `GET /sessions/stats` shows them."""
        return self.aggregate(
            total_sessions=Count("pk"),
            active_sessions=Count("pk", filter=Q(status__in=ACTIVE)),
            completed_sessions=Count("pk", filter=Q(status=JobStatus.COMPLETED)),
            failed_sessions=Count("pk", filter=Q(status=JobStatus.FAILED)),
            total_files_uploaded=_sum("files_uploaded"),
            total_bytes_uploaded=_sum("bytes_uploaded"),
        )


class SessionFileQuerySet(CompanyOwnedQuerySet):
    def figures(self) -> dict[str, int]:
        """A session's figures, as the rows of its files have them."""
        uploaded, failed, skipped = (Q(status=s) for s in ("uploaded", "failed", "skipped"))
        return self.aggregate(
            total_files=Count("pk"),
            files_uploaded=Count("pk", filter=uploaded),
            files_failed=Count("pk", filter=failed),
            files_skipped=Count("pk", filter=skipped),
            total_size_bytes=_sum("size"),
            bytes_uploaded=_sum("size", filter=uploaded),
        )


def _sum(field: str, **options: Any) -> Coalesce:
    return Coalesce(Sum(field, **options), 0, output_field=BigIntegerField())
