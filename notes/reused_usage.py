"""The usage of making a summary that was reused: a JSON column, because few rows have it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from notes.querysets import USAGE_FIELDS

ReusedUsage = dict[str, Any]


def to_json(columns: Mapping[str, Any], *, calls: int) -> ReusedUsage:
    """Return tokens, cost and the number of calls as the JSON to store."""
    return {**columns, "cost_usd": str(columns["cost_usd"]), "calls": calls}


def to_columns(usage: ReusedUsage | None) -> dict[str, Any]:
    """Return the tokens and the cost by the names of their columns; zeros for None."""
    columns = {name: (usage or {}).get(name, 0) for name in USAGE_FIELDS}
    return {**columns, "cost_usd": Decimal(columns["cost_usd"])}
