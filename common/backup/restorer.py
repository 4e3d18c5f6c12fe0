import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from redis.exceptions import RedisError

from common.backup.errors import BackupError
from common.backup.reader import Backup
from common.backup.tables import Table, migrations, tables, with_rows
from common.backup.writer import CHUNK

log = structlog.get_logger(__name__)


def restore(backup: Backup, *, replace: bool = False) -> None:
    """Put the backup's rows and files in the place of what is there: all of it, or nothing.

    Raises `BackupError` where the schema is not the backup's, or where there is something already
    and `replace` does not say that it may go.
    """
    _check_schema(backup)
    _check_target(replace)
    with tempfile.TemporaryDirectory(dir=_beside_folders()) as aside, transaction.atomic():
        _restore_rows(backup, Path(aside))
        # Last, when nothing is left that could fail but the commit.
        _swap_folders(Path(aside))
    # Copies, counters and messages of what was there before; jobs are published again by beat.
    try:
        cache.clear()
    except (RedisError, OSError) as error:
        log.warning("cache_not_cleared", error=repr(error))


def _check_schema(backup: Backup) -> None:
    theirs, ours = set(backup.manifest["migrations"]), set(migrations())
    release = f"The backup is of version {backup.manifest['version']}"
    if missing := sorted(theirs - ours):
        raise BackupError(
            f"{release}, newer than this database, which lacks {_named(missing)}."
            " Update, then migrate."
        )
    if newer := sorted(ours - theirs):
        raise BackupError(
            f"{release}, older than this database, which has {_named(newer)} besides. Restore it"
            " with that version into an empty database, then update and migrate."
        )
    expected = {name: list(facts["columns"]) for name, facts in backup.manifest["tables"].items()}
    found = {table.name: list(table.columns) for table in tables()}
    if wrong := sorted(n for n in expected.keys() | found if expected.get(n) != found.get(n)):
        raise BackupError(f"{release}, whose tables are others than here: {_named(wrong)}.")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _check_target(replace: bool) -> None:
    if replace:
        return
    if occupied := list(with_rows()):
        raise BackupError(
            f"The database has rows in {_named(occupied)}. To replace all, say --replace."
        )
    for folder in settings.BACKUP_FOLDERS.values():
        if folder.exists() and any(folder.iterdir()):
            raise BackupError(f"There are files in {folder}. To replace all, say --replace.")


def _restore_rows(backup: Backup, aside: Path) -> None:
    """Rows into their tables, and files, which come last in the archive, into `aside`."""
    known = {table.name: table for table in tables()}
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        # In one statement, and the rows without an order: all references are checked at the end.
        cursor.execute(f"TRUNCATE {', '.join(map(quote, known))}")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        with backup.legible():
            for name, content in backup.members():
                kind, _, rest = name.partition("/")
                if kind == "tables":
                    _copy_in(known[rest], content)
                elif kind == "files":
                    _save(aside, PurePosixPath(rest), content)
        for sequence, value in backup.manifest["sequences"].items():
            cursor.execute("SELECT setval(%s, %s)", [quote(sequence), value])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _copy_in(table: Table, content: IO[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table.source} FROM STDIN") as copy:
        while chunk := content.read(CHUNK):
            copy.write(chunk)


def _save(aside: Path, name: PurePosixPath, content: IO[bytes]) -> None:
    if name.is_absolute() or ".." in name.parts or name.parts[0] not in settings.BACKUP_FOLDERS:
        raise BackupError(f"The backup names a file outside of its folders: {name}.")
    target = aside / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(content, file, CHUNK)


def _beside_folders() -> Path:
    """On the disk of the folders, so that they need only be renamed."""
    parents = [folder.parent for folder in settings.BACKUP_FOLDERS.values()]
    place: Path = parents[0] if parents else settings.VAR_DIR
    place.mkdir(parents=True, exist_ok=True)
    return place


def _swap_folders(aside: Path) -> None:
    for name, folder in settings.BACKUP_FOLDERS.items():
        restored, former = aside / name, aside / f"{name}.former"
        restored.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.move(folder, former)
        shutil.move(restored, folder)
