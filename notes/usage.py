"""The cost, number and duration of summaries per day and model."""

from collections import defaultdict
from datetime import date
from typing import Any

from accounts.models import User
from notes.models import ProviderCall, SummaryOutcome
from notes.querysets import ESTIMATE_FIELDS, USAGE_FIELDS

NO_CALLS = {
    "calls": 0,
    "failed_calls": 0,
    **dict.fromkeys(USAGE_FIELDS, 0),
    "estimated_calls": 0,
    **dict.fromkeys(ESTIMATE_FIELDS, 0),
}
NO_SUMMARIES = {"count": 0, "failures": 0, "reused": 0, "median_ms": None, "p95_ms": None}

Rows = list[dict[str, Any]]


def list_usage(user: User, *, first: date, last: date, model: str = "") -> Rows:
    """Return a row for each day (UTC) and model, of what `user` may see; newest day first.

    `first` and `last` are included. `count`, `failures`, `reused` and the durations describe
    summaries by the day on which they ended; durations leave out failed and reused summaries. All
    other columns describe calls by the day on which they began. Only `estimated_*` contain upper
    estimates, for the calls whose usage is unknown.
    """
    rows: dict[tuple[date, str], dict[str, Any]] = defaultdict(lambda: {**NO_SUMMARIES, **NO_CALLS})
    for manager in (SummaryOutcome.objects, ProviderCall.objects):
        visible = manager.visible_to(user)
        days = (visible.filter(model=model) if model else visible).per_day(first, last, "model")
        for row in days:
            columns = {name.removeprefix("sum_"): value for name, value in row.items()}
            rows[row["date"], row["model"]].update(columns)
    return [rows[key] for key in sorted(rows, key=lambda key: (-key[0].toordinal(), key[1]))]


def compute_totals(rows: Rows) -> dict[str, Any]:
    """Return the sums of all rows, without the durations."""
    names = ("count", "failures", "reused", *NO_CALLS)
    return {name: sum(row[name] for row in rows) for name in names}
