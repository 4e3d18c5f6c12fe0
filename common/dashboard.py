"""The sections that apps add to the admin's first page.

An app's `AppConfig` may have a method `dashboard(user) -> list[Section]`. It includes only data
that the user may see, and returns an empty list if there is none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from django.apps import apps
from django.http import HttpRequest
from django.utils import timezone

CHART_DAYS = 30
CHART_HOURS = 24

Colour = Literal["primary", "green", "red", "orange", "blue"]


@dataclass(frozen=True, slots=True)
class Stat:
    """A current number, with an optional note."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """The values of a chart by day or by hour.

    `missing_value` is used for times without a value: 0, or None for a gap.
    """

    title: str
    values: Mapping[Any, Any]
    colour: Colour = "primary"
    missing_value: float | None = 0

    def values_at(self, times: Sequence[date]) -> list[float | None]:
        values = (self.values.get(time) for time in times)
        return [self.missing_value if value is None else float(value) for value in values]


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over the last 30 days, or over `times`, as stacked bars or as lines.

    `unit` is the unit of the value axis.
    """

    title: str
    series: list[Series]
    kind: Literal["bar", "line"] = "bar"
    unit: str = ""
    times: Sequence[date] = ()

    @property
    def data(self) -> str:
        """The chart's data as JSON for Chart.js."""
        times = self.times or last_days()
        datasets = [self._dataset(series, times) for series in self.series]
        return json.dumps({"labels": list(map(_label, times)), "datasets": datasets})

    def _dataset(self, series: Series, times: Sequence[date]) -> dict[str, Any]:
        colour = f"var(--color-{series.colour}-500)"
        dataset = {
            "label": series.title,
            "data": series.values_at(times),
            "backgroundColor": colour,
            "borderColor": colour,
            "spanGaps": True,
            "displayYAxis": True,
            "suffixYAxis": self.unit,
            "maxTicksXLimit": 10,
        }
        return dataset | ({"stack": self.title} if self.kind == "bar" else {})


@dataclass(frozen=True, slots=True)
class Section:
    """A titled group of stats and charts."""

    title: str
    stats: list[Stat] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)


def _label(time: date) -> str:
    return f"{time:%H:%M}" if isinstance(time, datetime) else f"{time:%d %b}"


def last_hours() -> list[datetime]:
    """Return the starts of the last 24 hours in UTC, the current hour last."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    return [hour - timedelta(hours=back) for back in reversed(range(CHART_HOURS))]


def last_days() -> list[date]:
    """Return the last 30 days in UTC, today last."""
    today = timezone.now().date()
    return [today - timedelta(days=back) for back in reversed(range(CHART_DAYS))]


def collect_sections(request: HttpRequest) -> list[Section]:
    """Return the sections of all apps for the user of `request`."""
    configs = [config for config in apps.get_app_configs() if hasattr(config, "dashboard")]
    return [section for config in configs for section in config.dashboard(request.user)]
