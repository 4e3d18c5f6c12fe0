from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common import backup


class Command(BaseCommand):
    help = "Put a backup in the place of what is in the database and among the uploaded files."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace", action="store_true", help="Also where there is something already."
        )

    def handle(self, *, file: Path, replace: bool, **_: Any) -> None:
        try:
            whole = backup.Backup(file)
            backup.restore(whole, replace=replace)
        except backup.BackupError as error:
            raise CommandError(str(error)) from None
        rows = sum(table["rows"] for table in whole.manifest["tables"].values())
        made = whole.manifest["created_at"]
        self.stdout.write(
            f"Restored {rows} rows and {len(whole.manifest['files'])} files of {made}."
        )
