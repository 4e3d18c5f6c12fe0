import csv
from argparse import ArgumentParser, FileType
from typing import IO, Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from common.ai.types import Usage
from common.events import record
from notes.ledger import reconcile

REQUIRED_COLUMNS = ("id", "prompt_tokens", "completion_tokens")
OPTIONAL_COLUMNS = ("cached_tokens", "reasoning_tokens")
MAX_TOKENS = 20_000_000  # more than any request to a model can have


class Command(BaseCommand):
    help = (
        "Store the usage from the provider's export for the calls whose response was not read, "
        "instead of an estimate. It can be run again with the same file."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "export",
            type=FileType(encoding="utf-8-sig"),
            help="The provider's export as a CSV file in UTF-8 with a header; - reads the standard "
            "input. The columns are id (the request's X-Client-Request-Id), "
            f"{', '.join((*REQUIRED_COLUMNS[1:], *OPTIONAL_COLUMNS))}; the last two are optional.",
        )

    def handle(self, *, export: IO[str], **_: Any) -> None:
        with export:
            usage_by_id = _read(export)
        updated, unknown = reconcile(usage_by_id)
        record("calls.reconciled", by=None, target=None, label=f"{updated} calls")
        self.stdout.write(f"Stored the usage of {updated} calls.")
        if unknown:
            self.stdout.write(f"{unknown} of {len(usage_by_id)} ids do not exist in the ledger.")


def _read(file: IO[str]) -> dict[UUID, Usage]:
    """Read the whole file before anything is stored; raise `CommandError` if it is invalid."""
    rows = csv.DictReader(file, strict=True)
    try:
        header = rows.fieldnames or ()
        if missing := [name for name in REQUIRED_COLUMNS if name not in header]:
            raise CommandError(f"The header lacks the columns {', '.join(missing)}.")
        return _parse_rows(rows)
    except UnicodeDecodeError:
        raise CommandError("This is not a CSV file in UTF-8.") from None
    except csv.Error as error:
        raise CommandError(f"Line {rows.reader.line_num} is not valid CSV: {error}.") from None


def _parse_rows(rows: "csv.DictReader[str]") -> dict[UUID, Usage]:
    usage_by_id: dict[UUID, Usage] = {}
    for row in rows:
        try:
            pk, usage = _parse_id(row, usage_by_id), _parse_usage(row)
        except ValueError as error:
            raise CommandError(f"Line {rows.line_num}, {error}.") from None
        usage_by_id[pk] = usage
    return usage_by_id


def _parse_id(row: dict[str, str], known: dict[UUID, Usage]) -> UUID:
    try:
        pk = UUID(row["id"])
    except (AttributeError, ValueError):
        raise ValueError(f"id: {row['id']!r} is not a UUID") from None
    if pk in known:
        raise ValueError(f"id: {pk} occurs twice")
    return pk


def _parse_usage(row: dict[str, str]) -> Usage:
    if None in row:  # a number such as 1,200 is split
        raise ValueError("it has more cells than the header")
    prompt, completion = (_parse_tokens(row, name, MAX_TOKENS) for name in REQUIRED_COLUMNS[1:])
    # Cached tokens are a part of the prompt, reasoning tokens a part of the completion.
    cached, reasoning = map(_parse_tokens, (row, row), OPTIONAL_COLUMNS, (prompt, completion))
    return Usage(prompt, completion, cached, reasoning)


def _parse_tokens(row: dict[str, str], name: str, maximum: int) -> int:
    value = (row.get(name) or "").strip() or ("0" if name in OPTIONAL_COLUMNS else "")
    is_number = value.isascii() and value.isdigit() and len(value) < 20
    if not is_number or int(value) > maximum:
        raise ValueError(f"{name}: {value!r} is not a whole number from 0 to {maximum}")
    return int(value)
