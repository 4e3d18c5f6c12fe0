"""Export entries of the audit log as CSV or JSON lines, with as little memory for a million."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rest_framework.utils.encoders import JSONEncoder

from accounts.models import User
from catalog.formulas import neutralize
from common.events.models import Event
from common.events.querysets import EventQuerySet
from integrations.audit.entries import entries_to_json

BATCH_SIZE = 1_000
COLUMNS = (
    "id",
    "type",
    "sequence",
    "occurred_at",
    "outcome",
    "actor_type",
    "actor_id",
    "actor_label",
    "ip_address",
    "company_id",
    "target_type",
    "target_id",
    "target_label",
    "changes",
    "request_id",
    "details",
    "previous_hash",
    "hash",
)
Entries = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """header: what comes before the first entry."""

    content_type: str
    render: Callable[[Entries], str]
    header: str = ""


def export_entries(
    first: list[Event], events: EventQuerySet, *, user: User, file_format: ExportFormat
) -> Iterator[bytes]:
    """Yield the file in parts, newest entries first.

    first: the first batch of `events`, which was read before the export was recorded.
    """
    if file_format.header:
        yield file_format.header.encode()
    for batch in _read_batches(first, events):
        yield file_format.render(entries_to_json(batch, user=user, with_data=False)).encode()


def _read_batches(first: list[Event], events: EventQuerySet) -> Iterator[list[Event]]:
    batch = first
    while batch:
        yield batch
        batch = list(events.before(batch[-1])[:BATCH_SIZE]) if len(batch) == BATCH_SIZE else []


def _to_ndjson(entries: Entries) -> str:
    return "".join(f"{_to_json(entry)}\n" for entry in entries)


def _to_csv(entries: Entries) -> str:
    return _write_csv(_to_cells(entry) for entry in entries)


def _write_csv(rows: Iterable[Iterable[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def _to_cells(entry: dict[str, Any]) -> list[str]:
    target: dict[str, Any] = next(iter(entry["targets"]), {})
    actor = entry["actor"]
    values = {
        **entry,
        **{f"actor_{name}": value for name, value in actor.items()},
        **{f"target_{name}": value for name, value in target.items()},
        "changes": _to_json(entry["changes"]) if entry["changes"] else "",
        "details": _to_json(entry["details"]) if entry["details"] else "",
        "occurred_at": entry["occurred_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    return [_to_cell(values.get(name)) for name in COLUMNS]


def _to_cell(value: object) -> str:
    return "" if value is None else neutralize(str(value))


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), cls=JSONEncoder)


FORMATS = {
    "ndjson": ExportFormat("application/x-ndjson", _to_ndjson),
    "csv": ExportFormat("text/csv; charset=utf-8", _to_csv, header=_write_csv([COLUMNS])),
}
