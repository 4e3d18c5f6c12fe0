"""Put restored files in their place, so that a kill at any point leaves the old or the new state.

Files can't take part in a transaction. A restore extracts them to a work folder beside each folder
of files; its transaction replaces the rows and adds a `PendingRestore`. Only after the COMMIT the
folders are swapped. After a kill, the next restore, backup or start of a server does the rest:
the swap if the row is there, else the removal of the work folders.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from django.conf import settings
from django.db import ProgrammingError, connection, transaction

from common.backup.errors import BackupError
from common.models import PendingRestore

log = structlog.get_logger(__name__)

LOCK_ID = 7_310_001  # an advisory lock of the database


def work_folder(folder: Path, restore: PendingRestore) -> Path:
    """Return where a restore keeps the `new` and then the `old` files of a folder, on its disk."""
    return folder.with_name(f".{folder.name}.restore-{restore.pk}")


def folders_by_name() -> dict[str, Path]:
    """Return the folders of files by their name in a backup; a link is resolved."""
    return {name: Path(folder).resolve() for name, folder in settings.BACKUP_FOLDERS.items()}


@contextmanager
def lock_restores() -> Iterator[bool]:
    """Open a transaction, and yield whether no other restore runs until it ends."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK_ID])
        yield cursor.fetchone() == (True,)


def finish_restores() -> None:
    """Swap the folders of committed restores, then remove what killed restores have left."""
    try:
        with lock_restores() as is_locked:
            if is_locked:
                _swap_all()
    except ProgrammingError:
        return  # the tables are not migrated yet
    except OSError as error:
        raise BackupError(
            f"A restore is not finished: {error.filename} can't be moved ({error.strerror})."
        ) from error
    with lock_restores() as is_locked:
        if is_locked:
            remove_leftovers()


def _swap_all() -> None:
    for restore in PendingRestore.objects.all():
        folders = list(folders_by_name().values())
        if all(work_folder(folder, restore).is_dir() for folder in folders):
            for folder in folders:
                _swap(folder, work_folder(folder, restore))
            restore.delete()
        else:
            log.warning("restore_unfinished", hint="Its files are on another machine.")


def _swap(folder: Path, work: Path) -> None:
    """Move the new files in the place of the old ones, unless a killed process did so."""
    if (work / "new").exists():
        if folder.exists():
            number = sum(1 for _ in work.glob("old*"))
            folder.rename(work / f"old{number}")
        (work / "new").rename(folder)


def remove_leftovers() -> None:
    """Remove the work folders without a row: killed before the COMMIT, or after the swap."""
    pending = {str(pk) for pk in PendingRestore.objects.values_list("pk", flat=True)}
    for folder in folders_by_name().values():
        for work in folder.parent.glob(f".{folder.name}.restore-*"):
            if work.name.partition(".restore-")[2] not in pending:
                shutil.rmtree(work, ignore_errors=True)
