from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from common import backup


class Command(BaseCommand):
    help = "Write every row and every uploaded file into one file; see common/backup."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", nargs="?", type=Path, help="Default: VAR_DIR/backups/bureau-<time>.tar.gz."
        )

    def handle(self, *, file: Path | None, **_: Any) -> None:
        name = f"bureau-{timezone.now():%Y%m%d-%H%M%S}.tar.gz"
        path = file or settings.VAR_DIR / "backups" / name
        try:
            manifest = backup.write(path)
        except backup.BackupError as error:
            raise CommandError(str(error)) from None
        rows = sum(table["rows"] for table in manifest["tables"].values())
        files = len(manifest["files"])
        self.stdout.write(f"{path}: {rows} rows, {files} files, {path.stat().st_size} bytes.")
