from typing import Self

from django.apps import apps
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
from uploads.counters import SessionCounters

UNFINISHED_STATUSES = ("pending", *ACTIVE)
# Sessions that have not ended and that no worker runs.
OPEN_TO_CLIENTS = Q(status__in=UNFINISHED_STATUSES, run_id=None)
# Sessions that take files at presigned URLs; a queued one waits for a worker.
OPEN_TO_FILES = Q(status__in=("pending", "in_progress"), run_id=None)


class CycleQuerySet(CompanyOwnedQuerySet):
    def with_status(self) -> Self:
        """Annotate each cycle with a `status` computed from the statuses of its sessions.

        The status is not stored, so it cannot differ from the sessions.
        """
        return self.annotate(status=_cycle_status())


def _cycle_status() -> Case:
    """Return the status; cancelled sessions count only if there are no others."""
    return Case(
        When(_has_session("queued", "in_progress"), then=Value("in_progress")),
        When(
            Q(_has_session("pending"), _has_session("completed", "partial", "failed")),
            then=Value("in_progress"),
        ),
        When(_has_session("pending"), then=Value("pending")),
        When(
            Q(_has_session("partial")) | Q(_has_session("completed"), _has_session("failed")),
            then=Value("partial"),
        ),
        When(_has_session("completed"), then=Value("completed")),
        When(_has_session("failed"), then=Value("failed")),
        When(_has_session("cancelled"), then=Value("cancelled")),
        default=Value("pending"),
        output_field=CharField(),
    )


def _has_session(*statuses: str) -> Exists:
    sessions = apps.get_model("uploads.Session")._default_manager
    return Exists(sessions.filter(cycle=OuterRef("pk"), status__in=statuses))


class SessionQuerySet(JobQuerySet, CompanyOwnedQuerySet):
    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def partially_uploaded(self) -> Self:
        """Keep sessions that are not completed and have files in the store, or URLs for them."""
        has_files = Q(files_uploaded__gt=0) | Q(files_skipped__gt=0)
        has_urls = Q(presigned_uploads__isnull=False)
        return self.exclude(status=JobStatus.COMPLETED).filter(has_files | has_urls)

    def open_to_files(self) -> Self:
        """Keep sessions to which a client may send files."""
        return self.filter(OPEN_TO_FILES)

    def statistics(self) -> dict[str, int]:
        """Return the sums over all these sessions for `GET /sessions/stats`."""
        return self.aggregate(
            total_sessions=Count("pk"),
            active_sessions=Count("pk", filter=Q(status__in=ACTIVE)),
            completed_sessions=Count("pk", filter=Q(status=JobStatus.COMPLETED)),
            failed_sessions=Count("pk", filter=Q(status=JobStatus.FAILED)),
            total_files_uploaded=_sum("files_uploaded"),
            total_bytes_uploaded=_sum("bytes_uploaded"),
        )


class SessionFileQuerySet(CompanyOwnedQuerySet):
    def counters(self) -> SessionCounters:
        """Return a session's counters, summed over these rows."""
        uploaded, failed, skipped = (Q(status=s) for s in ("uploaded", "failed", "skipped"))
        return SessionCounters(
            **self.aggregate(
                total_files=Count("pk"),
                files_uploaded=Count("pk", filter=uploaded),
                files_failed=Count("pk", filter=failed),
                files_skipped=Count("pk", filter=skipped),
                total_size_bytes=_sum("size"),
                bytes_uploaded=_sum("size", filter=uploaded),
            )
        )


def _sum(field: str, *, filter: Q | None = None) -> Coalesce:
    return Coalesce(Sum(field, filter=filter), 0, output_field=BigIntegerField())
