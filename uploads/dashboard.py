"""The uploads section of the admin dashboard."""

from datetime import UTC
from typing import Any

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from accounts.models import User
from common.dashboard import Chart, Section, Series, Stat, last_days
from common.jobs.status import ACTIVE
from uploads.models import Session

BYTES_PER_MB = 1_000_000


def sections(user: User) -> list[Section]:
    """Return the section of the user's company, for a superuser of all companies."""
    if not user.has_perm("uploads.view_session"):
        return []
    sessions = Session.objects.visible_to(user)
    days = _sums_by_day(sessions)
    ended, uploaded, failed, size = (
        {day: row[name] for day, row in days.items()}
        for name in ("ended", "uploaded", "failed", "size")
    )
    active = sessions.filter(status__in=ACTIVE).count()
    stats = [
        Stat("Sessions", f"{sum(ended.values()):,}", f"and {active:,} active"),
        Stat("Files", f"{sum(uploaded.values()):,}", f"{sum(failed.values()):,} failed"),
        Stat("Uploaded", f"{sum(size.values()) / BYTES_PER_MB:,.1f} MB", "in 30 days"),
    ]
    files = [Series("Files uploaded", uploaded, "green"), Series("Files failed", failed, "red")]
    megabytes = {day: round(size[day] / BYTES_PER_MB, 3) for day in size}
    charts = [
        Chart("Files per day", files),
        Chart("Uploaded per day", [Series("Megabytes", megabytes, "blue")], unit="MB"),
    ]
    return [Section("Uploads", stats, charts)]


def _sums_by_day(sessions: Any) -> dict[Any, dict[str, int]]:
    recent = sessions.filter(finished_at__date__gte=last_days()[0])
    days = recent.values(day=TruncDate("finished_at", tzinfo=UTC)).annotate(
        ended=Count("pk"),
        uploaded=Sum("files_uploaded"),
        failed=Sum("files_failed"),
        size=Sum("bytes_uploaded"),
    )
    return {row["day"]: row for row in days}
