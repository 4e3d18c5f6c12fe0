import csv
from argparse import ArgumentParser, FileType
from collections.abc import Iterator
from typing import IO, Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from common.ai.types import Usage
from notes.ledger import reconcile

COLUMNS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")


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
            help="A CSV file with a header: id (the request's X-Client-Request-Id), "
            f"{', '.join(COLUMNS)}; the last two may be missing.",
        )

    def handle(self, *, books: IO[str], **_: Any) -> None:
        with books:
            changed = reconcile(dict(_entries(books)))
        self.stdout.write(f"{changed} calls have figures now that had none.")


def _entries(books: IO[str]) -> Iterator[tuple[UUID, Usage]]:
    rows = csv.DictReader(books)
    for row in rows:
        try:
            yield UUID(row["id"]), Usage(*(int(row.get(name) or 0) for name in COLUMNS))
        except (KeyError, ValueError) as error:
            raise CommandError(f"Line {rows.line_num} can't be read: {error!r}") from None
