"""Notes and summaries on the admin's first page."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate, TruncHour

from accounts.models import User
from common.dashboard import Curve, Figure, Plot, Section, last_days, last_hours
from common.jobs.models import ACTIVE, JobStatus
from notes.models import Note, Outcome, ProviderCall, Summary
from notes.querysets import within

ENDED = [status for status in JobStatus if status not in ACTIVE]

Column = dict[Any, Any]


def sections(user: User) -> list[Section]:
    """Of the company for its staff, of all companies for a superuser."""
    found = []
    if user.has_perm("notes.view_summary"):
        found.append(summaries(user))
    if user.has_perm("notes.view_note"):
        found.append(notes(user))
    return found


def summaries(user: User) -> Section:
    days = last_days()
    ended = columns(Outcome.objects.visible_to(user).per_day(days[0], days[-1]))
    asked = columns(ProviderCall.objects.visible_to(user).per_day(days[0], days[-1]))
    made = {day: ended["count"][day] - ended["failures"][day] for day in ended["count"]}
    plots = [
        Plot(
            "Summaries a day",
            [
                Curve("Completed", made, "green"),
                Curve("Failed", ended["failures"], "red"),
            ],
        ),
        Plot(
            "Time for a summary",
            [
                Curve("Median", ended["median_ms"], "primary", missing=None),
                Curve("95th percentile", ended["p95_ms"], "orange", missing=None),
            ],
            kind="line",
            unit="ms",
        ),
        Plot(
            "Tokens a day",
            [
                Curve("Prompt", asked["sum_prompt_tokens"], "primary"),
                Curve("Completion", asked["sum_completion_tokens"], "blue"),
            ],
        ),
        Plot("Cost a day", [Curve("USD", asked["sum_cost_usd"], "orange")], unit="USD"),
        Plot(
            "Queue in the last 24 hours",
            [Curve("Waiting at the end of the hour", queue_lengths(user), "blue")],
            times=last_hours(),
        ),
    ]
    return Section("Summaries", [*queue(user), *month(ended, asked)], plots)


def queue(user: User) -> list[Figure]:
    active = Summary.objects.visible_to(user).aggregate(
        waiting=Count("pk", filter=Q(status=JobStatus.QUEUED)),
        running=Count("pk", filter=Q(status=JobStatus.IN_PROGRESS)),
    )
    waiting, running = active["waiting"], active["running"]
    return [Figure("Queue", f"{waiting:,}", f"and {running:,} in progress")]


def queue_lengths(user: User) -> dict[datetime, int]:
    """How many summaries waited at the end of each hour: what waits now, reckoned backwards."""
    summaries = Summary.objects.visible_to(user)
    came = summaries.exclude(started_at=None, status__in=ENDED)
    joined, left = per_hour(came, "created_at"), per_hour(came, "started_at")
    length = came.filter(started_at=None).count()
    lengths = {}
    for hour in reversed(last_hours()):
        lengths[hour] = max(0, length)
        length += left.get(hour, 0) - joined.get(hour, 0)
    return lengths


def per_hour(summaries: QuerySet, field: str) -> dict[datetime, int]:
    recent = summaries.filter(**{f"{field}__gte": last_hours()[0]})
    hours = recent.values(hour=TruncHour(field, tzinfo=UTC)).annotate(count=Count("pk"))
    return dict(hours.values_list("hour", "count"))


def month(ended: dict[str, Column], asked: dict[str, Column]) -> list[Figure]:
    """The sums of all days shown."""
    count, failed, reused = (sum(ended[name].values()) for name in ("count", "failures", "reused"))
    calls, cost = sum(asked["calls"].values()), sum(asked["sum_cost_usd"].values())
    estimated = sum(asked["sum_estimated_cost_usd"].values())
    return [
        Figure("Summaries", f"{count:,}", f"{failed:,} failed, {reused:,} reused"),
        Figure("Calls", f"{calls:,}", f"{sum(asked['failed_calls'].values()):,} without an answer"),
        Figure("Cost", f"{cost:,.2f} USD", f"and up to {estimated:,.2f} estimated, in 30 days"),
    ]


def notes(user: User) -> Section:
    days = last_days()
    visible = Note.objects.visible_to(user)
    recent = visible.filter(within("created_at", days[0], days[-1]))
    per_day = columns(
        recent.values(date=TruncDate("created_at", tzinfo=UTC)).annotate(count=Count("pk"))
    )
    return Section(
        "Notes",
        [Figure("Notes", f"{visible.count():,}", f"{sum(per_day['count'].values()):,} in 30 days")],
        [Plot("Notes a day", [Curve("Notes", per_day["count"])])],
    )


def columns(rows: Any) -> dict[str, Column]:
    """Rows of days turned into one mapping of days for each column."""
    found: dict[str, Column] = defaultdict(dict)
    for row in rows:
        for name, value in row.items():
            found[name][row["date"]] = value
    return found
