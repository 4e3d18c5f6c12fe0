from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.migration_checksums import compute_checksums, read_lock_file, write_lock_file


class Command(BaseCommand):
    help = "Add new migrations to the lock file. A migration in the file must never change."

    def add_arguments(self, parser: ArgumentParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--check",
            action="store_true",
            help="Write nothing; fail if a migration was changed, removed or not locked.",
        )
        mode.add_argument(
            "--rewrite",
            action="store_true",
            help="Replace the whole file, even if a locked migration was changed.",
        )

    def handle(self, *, check: bool, rewrite: bool, **_: Any) -> None:
        checksums, locked = compute_checksums(), {} if rewrite else read_lock_file()
        if edited := [name for name in locked if locked[name] != checksums.get(name)]:
            raise CommandError(
                f"Locked migrations were edited or removed: {', '.join(edited)}. Restore them, and"
                " write a new migration for the change."
            )
        new = [name for name in checksums if name not in locked]
        if check and new:
            raise CommandError(
                f"Not locked yet: {', '.join(new)}. Run `manage.py lock_migrations`."
            )
        if not check:
            write_lock_file(checksums)
            self.stdout.write(f"Locked {len(new)} migrations.")
