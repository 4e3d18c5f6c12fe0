from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from common.backup import BackupError, write_backup
from common.events import record


class Command(BaseCommand):
    help = "Write all rows and uploaded files to one file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            type=Path,
            help="The file to write. Default: VAR_DIR/backups/bureau-<time>.tar.gz.",
        )

    def handle(self, *, file: Path | None, **_: Any) -> None:
        name = f"bureau-{timezone.now():%Y%m%d-%H%M%S}.tar.gz"
        path = file or settings.VAR_DIR / "backups" / name
        try:
            manifest = write_backup(path)
        except BackupError as error:
            raise CommandError(str(error)) from None
        record("backup.created", by=None, target=None, label=path.name)
        self.stdout.write(
            f"Wrote {path}: {manifest.row_count} rows, {len(manifest.files)} files,"
            f" {path.stat().st_size} bytes."
        )
