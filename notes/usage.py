"""What summaries cost and how they went, per day and model."""

from collections import defaultdict
from datetime import date
from typing import Any

from accounts.models import User
from notes.models import Call, SummaryOutcome
from notes.querysets import USAGE_FIELDS

NO_CALLS = {"calls": 0, "failed_calls": 0, **dict.fromkeys(USAGE_FIELDS, 0)}
NO_SUMMARIES = {"count": 0, "failures": 0, "reused": 0, "median_ms": None, "p95_ms": None}

Rows = list[dict[str, Any]]


def per_day_and_model(*, by: User, first: date, last: date, model: str = "") -> Rows:
    """The days from `first` to `last` (UTC, both included) of what `by` may see, newest first.

    `count`, `failures`, `reused` and the times are of summaries by the day they ended, times of
    those that were made and not found; all else is of the ledger's calls by the day they began.
    """
    rows: dict[tuple[date, str], dict[str, Any]] = defaultdict(lambda: {**NO_SUMMARIES, **NO_CALLS})
    for found in (SummaryOutcome.objects, Call.objects):
        visible = found.visible_to(by)
        days = (visible.filter(model=model) if model else visible).per_day(first, last, "model")
        for row in days:
            named = {name.removeprefix("sum_"): value for name, value in row.items()}
            rows[row["date"], row["model"]].update(named)
    return [rows[key] for key in sorted(rows, key=lambda key: (-key[0].toordinal(), key[1]))]


def totals(rows: Rows) -> dict[str, Any]:
    """The sums of all rows; times are not to be summed."""
    names = ("count", "failures", "reused", *NO_CALLS)
    return {name: sum(row[name] for row in rows) for name in names}
