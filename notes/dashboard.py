"""The sections on notes and summaries on the admin's first page."""

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate, TruncHour

from accounts.models import User
from common.dashboard import Chart, Section, Series, Stat, last_days, last_hours
from common.jobs.status import ACTIVE, JobStatus
from notes.models import Note, ProviderCall, Summary, SummaryOutcome
from notes.querysets import between_days

ENDED = [status for status in JobStatus if status not in ACTIVE]

ValuesByDate = dict[date, Any]


def build_sections(user: User) -> list[Section]:
    """Return what `user` may see: their company's rows, or all rows for a superuser."""
    sections = []
    if user.has_perm("notes.view_summary"):
        sections.append(build_summary_section(user))
    if user.has_perm("notes.view_note"):
        sections.append(build_note_section(user))
    return sections


def build_summary_section(user: User) -> Section:
    days = last_days()
    visible_outcomes = SummaryOutcome.objects.visible_to(user)
    outcomes = pivot_by_date(visible_outcomes.per_day(days[0], days[-1], viewer=user))
    calls = pivot_by_date(ProviderCall.objects.visible_to(user).per_day(days[0], days[-1]))
    stats = [build_queue_stat(user), *build_total_stats(outcomes, calls)]
    return Section("Summaries", stats, build_summary_charts(user, outcomes, calls))


def build_summary_charts(
    user: User, outcomes: dict[str, ValuesByDate], calls: dict[str, ValuesByDate]
) -> list[Chart]:
    completed = {day: count - outcomes["failures"][day] for day, count in outcomes["count"].items()}
    return [
        Chart(
            "Summaries per day",
            [
                Series("Completed", completed, "green"),
                Series("Failed", outcomes["failures"], "red"),
            ],
        ),
        Chart(
            "Duration of summaries",
            [
                Series("Median", outcomes["median_ms"], "primary", missing_value=None),
                Series("95th percentile", outcomes["p95_ms"], "orange", missing_value=None),
            ],
            kind="line",
            unit="ms",
        ),
        Chart(
            "Tokens per day",
            [
                Series("Prompt", calls["sum_prompt_tokens"], "primary"),
                Series("Completion", calls["sum_completion_tokens"], "blue"),
            ],
        ),
        Chart("Cost per day", [Series("USD", calls["sum_cost_usd"], "orange")], unit="USD"),
        Chart(
            "Queue in the last 24 hours",
            [Series("Waiting at the end of the hour", compute_queue_lengths(user), "blue")],
            times=last_hours(),
        ),
    ]


def build_queue_stat(user: User) -> Stat:
    active = Summary.objects.visible_to(user).aggregate(
        queued=Count("pk", filter=Q(status=JobStatus.QUEUED)),
        in_progress=Count("pk", filter=Q(status=JobStatus.IN_PROGRESS)),
    )
    return Stat("Queue", f"{active['queued']:,}", f"and {active['in_progress']:,} in progress")


def compute_queue_lengths(user: User) -> dict[datetime, int]:
    """Return how many summaries were queued at the end of each hour, computed back from now."""
    all_summaries = Summary.objects.visible_to(user)
    entered = all_summaries.exclude(started_at=None, status__in=ENDED)
    entries, starts = count_per_hour(entered, "created_at"), count_per_hour(entered, "started_at")
    length = entered.filter(started_at=None).count()
    lengths = {}
    for hour in reversed(last_hours()):
        lengths[hour] = max(0, length)
        length += starts.get(hour, 0) - entries.get(hour, 0)
    return lengths


def count_per_hour(summaries: QuerySet, field: str) -> dict[datetime, int]:
    recent = summaries.filter(**{f"{field}__gte": last_hours()[0]})
    hours = recent.values(hour=TruncHour(field, tzinfo=UTC)).annotate(count=Count("pk"))
    return dict(hours.values_list("hour", "count"))


def build_total_stats(
    outcomes: dict[str, ValuesByDate], calls: dict[str, ValuesByDate]
) -> list[Stat]:
    """Return the sums over the 30 days of the charts."""
    count, failed, reused = (
        sum(outcomes[name].values()) for name in ("count", "failures", "reused")
    )
    call_count, failed_calls = sum(calls["calls"].values()), sum(calls["failed_calls"].values())
    cost = sum(filter(None, calls["sum_cost_usd"].values()))
    estimated = sum(calls["sum_estimated_cost_usd"].values())
    return [
        Stat("Summaries", f"{count:,}", f"{failed:,} failed, {reused:,} reused"),
        Stat("Calls", f"{call_count:,}", f"{failed_calls:,} without an answer"),
        Stat("Cost", f"{cost:,.2f} USD", f"and up to {estimated:,.2f} estimated, in 30 days"),
    ]


def build_note_section(user: User) -> Section:
    days = last_days()
    notes = Note.objects.visible_to(user)
    recent = notes.filter(between_days("created_at", days[0], days[-1]))
    per_day = pivot_by_date(
        recent.values(date=TruncDate("created_at", tzinfo=UTC)).annotate(count=Count("pk"))
    )
    recent_count = sum(per_day["count"].values())
    return Section(
        "Notes",
        [Stat("Notes", f"{notes.count():,}", f"{recent_count:,} in 30 days")],
        [Chart("Notes per day", [Series("Notes", per_day["count"])])],
    )


def pivot_by_date(rows: Any) -> dict[str, ValuesByDate]:
    """Turn rows with a `date` into a mapping from date to value for each column."""
    values_by_column: dict[str, ValuesByDate] = defaultdict(dict)
    for row in rows:
        for name, value in row.items():
            values_by_column[name][row["date"]] = value
    return values_by_column
