import csv
from argparse import ArgumentParser, FileType
from typing import IO, Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from common.ai.types import Usage
from notes.ledger import reconcile

REQUIRED = ("id", "prompt_tokens", "completion_tokens")
OPTIONAL = ("cached_tokens", "reasoning_tokens")
LARGEST = 20_000_000  # tokens; no request to any model holds so many


class Command(BaseCommand):
    help = (
        "Put into the cost ledger what the provider's own books say of answers that nobody read, "
        "because the worker died or its time was over. Safe to run again and again."
    )
    requires_system_checks = ()  # which take longer than all else when a courier calls

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "books",
            type=FileType(encoding="utf-8-sig"),
            help="A CSV file in UTF-8 with a header: id (the request's X-Client-Request-Id), "
            f"{', '.join((*REQUIRED[1:], *OPTIONAL))}; the last two may be missing.",
        )

    def handle(self, *, books: IO[str], **_: Any) -> None:
        with books:
            entries = _read(books)
        filled, unknown = reconcile(entries)
        self.stdout.write(f"{filled} calls have figures now that had none.")
        if unknown:
            self.stdout.write(f"{unknown} of {len(entries)} ids are no call of this ledger's.")


def _read(books: IO[str]) -> dict[UUID, Usage]:
    """All of it, so that books with a mistake change nothing. Raises `CommandError`."""
    rows = csv.DictReader(books, strict=True)
    try:
        if missing := [name for name in REQUIRED if name not in (rows.fieldnames or ())]:
            raise CommandError(f"The header has no {', '.join(missing)}.")
        return _by_id(rows)
    except UnicodeDecodeError:
        raise CommandError("This is no CSV file in UTF-8.") from None
    except csv.Error as error:
        raise CommandError(f"Line {rows.reader.line_num} is no CSV: {error}.") from None


def _by_id(rows: "csv.DictReader[str]") -> dict[UUID, Usage]:
    found: dict[UUID, Usage] = {}
    for row in rows:
        try:
            pk, used = _id(row, found), _usage(row)
        except ValueError as error:
            raise CommandError(f"Line {rows.line_num}, {error}.") from None
        found[pk] = used
    return found


def _id(row: dict[str, str], known: dict[UUID, Usage]) -> UUID:
    try:
        pk = UUID(row["id"])
    except (AttributeError, ValueError):
        raise ValueError(f"id: {row['id']!r} is no UUID") from None
    if pk in known:
        raise ValueError(f"id: {pk} is there twice")
    return pk


def _usage(row: dict[str, str]) -> Usage:
    if None in row:  # such as the thousands of 1,200
        raise ValueError("it has more cells than the header")
    prompt, completion = (_figure(row, name, LARGEST) for name in REQUIRED[1:])
    # These are parts of those.
    cached, reasoning = map(_figure, (row, row), OPTIONAL, (prompt, completion))
    return Usage(prompt, completion, cached, reasoning)


def _figure(row: dict[str, str], name: str, largest: int) -> int:
    value = (row.get(name) or "").strip() or ("0" if name in OPTIONAL else "")
    if not (value.isascii() and value.isdigit() and len(value) < 20 and int(value) <= largest):
        raise ValueError(f"{name}: {value!r} is no number of tokens from 0 to {largest}")
    return int(value)
