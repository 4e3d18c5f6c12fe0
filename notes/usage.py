"""The cost of AI calls, and the number and duration of summaries, per day and model."""

from collections import defaultdict
from datetime import date
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from common.ai.ledger import Purpose
from notes import reused_usage
from notes.models import ProviderCall, SummaryOutcome
from notes.querysets import ESTIMATE_FIELDS, USAGE_FIELDS, sees_colleagues_rows

NO_CALLS = {
    "calls": 0,
    "failed_calls": 0,
    **dict.fromkeys(USAGE_FIELDS, 0),
    "estimated_calls": 0,
    **dict.fromkeys(ESTIMATE_FIELDS, 0),
}
NO_SUMMARIES = {"count": 0, "failures": 0, "reused": 0, "median_ms": None, "p95_ms": None}

Rows = list[dict[str, Any]]
UsageByDay = defaultdict[tuple[date, str], dict[str, Any]]


def list_usage(user: User, *, first: date, last: date, model: str = "", purpose: str = "") -> Rows:
    """Return a row for each day (UTC) and model, of what `user` may see; newest day first.

    `first` and `last` are included. `count`, `failures`, `reused` and the durations describe
    summaries by the day on which they ended; durations leave out failed and reused summaries. All
    other columns describe the calls for all purposes, or for `purpose`, by the day on which they
    began. Only `estimated_*` contain upper
    estimates, for the calls whose usage is unknown. The cost of a model without a price is None.
    """
    rows: UsageByDay = defaultdict(lambda: {**NO_SUMMARIES, **NO_CALLS})
    outcomes, calls = SummaryOutcome.objects.visible_to(user), ProviderCall.objects.visible_to(user)
    if model:
        outcomes, calls = outcomes.filter(model=model), calls.filter(model=model)
    if purpose:
        calls = calls.filter(purpose=purpose)
        outcomes = outcomes if purpose == Purpose.SUMMARY else outcomes.none()
    per_day = outcomes.per_day(first, last, "model", viewer=user)
    for row in (*per_day, *calls.per_day(first, last, "model")):
        columns = {name.removeprefix("sum_"): value for name, value in row.items()}
        rows[row["date"], row["model"]].update(columns)
    if not sees_colleagues_rows(user):
        _add_private_reuses(rows, outcomes.private_reuses(first, last))
    return [rows[key] for key in sorted(rows, key=lambda key: (-key[0].toordinal(), key[1]))]


def _add_private_reuses(rows: UsageByDay, reuses: QuerySet) -> None:
    """Add the usage of making the summaries whose reuse is hidden; see `notes.private_reuse`."""
    for reuse in reuses:
        usage, row = reuse["private_reuse"], rows[reuse["date"], reuse["model"]]
        row["calls"] += usage["calls"]
        for name, value in reused_usage.to_columns(usage).items():
            row[name] = reused_usage.add(row[name], value)


def compute_totals(rows: Rows) -> dict[str, Any]:
    """Return the sums of all rows, without the durations and unknown costs."""
    names = ("count", "failures", "reused", *NO_CALLS)
    return {name: sum(row[name] or 0 for row in rows) for name in names}
