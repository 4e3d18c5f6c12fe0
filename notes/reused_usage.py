"""The usage of making a summary that was reused: a JSON column, because few rows have it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from notes.querysets import USAGE_FIELDS

ReusedUsage = dict[str, Any]


def to_json(columns: Mapping[str, Any], *, calls: int) -> ReusedUsage:
    """Return tokens, cost and the number of calls as the JSON to store."""
    cost = columns["cost_usd"]
    return {**columns, "cost_usd": None if cost is None else str(cost), "calls": calls}


def to_columns(usage: ReusedUsage | None) -> dict[str, Any]:
    """Return the tokens and the cost by the names of their columns; zeros for None."""
    columns = {name: (usage or {}).get(name, 0) for name in USAGE_FIELDS}
    cost = columns["cost_usd"]
    return {**columns, "cost_usd": None if cost is None else Decimal(cost)}


def add(one: Any, other: Any) -> Any:
    """Return the sum of two numbers, None if one is an unknown cost."""
    return None if one is None or other is None else one + other


def subtract(one: Any, other: Any) -> Any:
    """Return the difference of two numbers, None if one is an unknown cost."""
    return None if one is None or other is None else one - other
