from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.backup import Backup, BackupError, restore_backup


class Command(BaseCommand):
    help = "Restore all rows and uploaded files from a backup, or change nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="The backup to restore.")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="Delete the rows and files that exist. Without it, they stop the restore.",
        )

    def handle(self, *, file: Path, replace: bool, **_: Any) -> None:
        try:
            backup = Backup(file)
            restore_backup(backup, replace=replace)
        except BackupError as error:
            raise CommandError(str(error)) from None
        manifest = backup.manifest
        self.stdout.write(
            f"Restored {manifest.row_count} rows and {len(manifest.files)} files from a backup of"
            f" {manifest.created_at}."
        )
