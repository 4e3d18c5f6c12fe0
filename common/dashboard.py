"""What the admin's first page shows of each app.

An app's `AppConfig` may have a method `dashboard(user) -> list[Section]`. It shows what the user
may see and nothing else, and an empty list where that is nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from django.apps import apps
from django.http import HttpRequest
from django.utils import timezone

DAYS = 30

Colour = Literal["primary", "green", "red", "orange", "blue"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of today, with a word on it."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A value for each day, or hour; one without is `missing`: 0, or None for a gap."""

    title: str
    values: Mapping[Any, Any]
    colour: Colour = "primary"
    missing: float | None = 0

    def over(self, times: Sequence[date]) -> list[float | None]:
        found = (self.values.get(time) for time in times)
        return [self.missing if value is None else float(value) for value in found]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over the last 30 days, or over the `times` given, as bars on each other or as lines.

    `unit` is of their axis.
    """

    title: str
    curves: list[Curve]
    kind: Literal["bar", "line"] = "bar"
    unit: str = ""
    times: Sequence[date] = ()

    @property
    def data(self) -> str:
        """As Chart.js reads it."""
        times = self.times or last_days()
        datasets = [
            {
                "label": curve.title,
                "data": curve.over(times),
                "backgroundColor": f"var(--color-{curve.colour}-500)",
                "borderColor": f"var(--color-{curve.colour}-500)",
                "spanGaps": True,
                "displayYAxis": True,
                "suffixYAxis": self.unit,
                "maxTicksXLimit": 10,
            }
            | ({"stack": self.title} if self.kind == "bar" else {})
            for curve in self.curves
        ]
        return json.dumps({"labels": list(map(_label, times)), "datasets": datasets})


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    figures: list[Figure] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)


def _label(time: date) -> str:
    return f"{time:%H:%M}" if isinstance(time, datetime) else f"{time:%d %b}"


def last_hours() -> list[datetime]:
    """The last 24 hours by their beginnings in UTC, the current one the last."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    return [hour - timedelta(hours=back) for back in range(23, -1, -1)]


def last_days() -> list[date]:
    """The last 30 days in UTC, today the last."""
    today = timezone.now().date()
    return [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's `DASHBOARD_CALLBACK`."""
    shown = [config for config in apps.get_app_configs() if hasattr(config, "dashboard")]
    sections = [section for config in shown for section in config.dashboard(request.user)]
    return context | {"sections": sections}
