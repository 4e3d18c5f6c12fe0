import os
import shutil
from pathlib import Path, PurePosixPath
from typing import IO

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from redis.exceptions import RedisError

from common.backup.errors import BackupError
from common.backup.folders import (
    finish_restores,
    folders_by_name,
    lock_restores,
    work_folder,
)
from common.backup.manifest import Manifest
from common.backup.reader import Backup
from common.backup.tables import (
    copy_target,
    describe_schema,
    find_schema_difference,
    read_migrations,
    read_tables,
    tables_with_rows,
)
from common.backup.writer import CHUNK_BYTES
from common.events import record
from common.events.models import Event
from common.events.querysets import ALLOW_CHANGES
from common.models import PendingRestore
from common.postgres.options import NO_IDLE_TIMEOUT
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

MAX_NAMES_IN_ERROR = 3


def restore_backup(backup: Backup, *, replace: bool = False) -> None:
    """Replace all rows and uploaded files by those of the backup, or change nothing.

    Raise `BackupError` if the schemas differ, or if there are rows or files and `replace` is off.
    """
    finish_restores()
    _check_schema(backup.manifest)
    _check_folders()
    if not replace:
        _check_is_empty()
    with lock_restores() as is_locked:
        if not is_locked:
            raise BackupError("Another restore runs. Nothing was changed.")
        _stage(backup, PendingRestore())
    finish_restores()
    # The cache belongs to the replaced rows. Beat publishes the restored jobs again.
    try:
        cache.clear()
    except (RedisError, OSError) as error:
        log.warning("cache_not_cleared", error=redacted_message(error))


def _check_schema(manifest: Manifest) -> None:
    in_backup, in_database = set(manifest.migrations), set(read_migrations())
    if missing := sorted(in_backup - in_database):
        raise BackupError(
            f"The backup was made by the newer version {manifest.version}: the database lacks the"
            f" migrations {_join_names(missing)}. Update Bureau and run `migrate`, then restore."
        )
    if newer := sorted(in_database - in_backup):
        raise BackupError(
            f"The backup was made by the older version {manifest.version}: it lacks the migrations"
            f" {_join_names(newer)} of the database. Restore it with that version into an empty"
            " database, then update Bureau and run `migrate`."
        )
    schema = describe_schema(read_tables())
    if difference := find_schema_difference(manifest.schema, schema):
        raise BackupError(
            f"The backup of version {manifest.version} has another schema: {difference}."
            " Restore it with the version that made it. Nothing was changed."
        )


def _join_names(names: list[str]) -> str:
    rest = len(names) - MAX_NAMES_IN_ERROR
    return ", ".join(names[:MAX_NAMES_IN_ERROR]) + (f" and {rest} more" if rest > 0 else "")


def _check_is_empty() -> None:
    advice = "Add --replace (with make: REPLACE=1) to replace everything."
    if tables := list(tables_with_rows()):
        raise BackupError(f"The database has rows in {_join_names(tables)}. {advice}")
    for folder in settings.BACKUP_FOLDERS.values():
        if folder.exists() and any(folder.iterdir()):
            raise BackupError(f"{folder} has files. {advice}")


def _check_folders() -> None:
    for folder in folders_by_name().values():
        if os.path.ismount(folder):
            raise BackupError(
                f"{folder} is a mount point, which can't be replaced: use a folder below it."
                " Nothing was changed."
            )


def _stage(backup: Backup, restore: PendingRestore) -> None:
    """Replace the rows, extract the files to work folders, and record that both belong together."""
    staged = {
        name: work_folder(folder, restore) / "new" for name, folder in folders_by_name().items()
    }
    try:
        for folder in staged.values():
            folder.mkdir(parents=True)
        _restore_content(backup, staged)
        os.sync()  # the COMMIT is durable, so its files must be
        restore.save(force_insert=True)
    except BaseException:
        for folder in staged.values():
            shutil.rmtree(folder.parent, ignore_errors=True)
        raise


def _restore_content(backup: Backup, staged: dict[str, Path]) -> None:
    """Load the rows into their tables and extract the files to the `staged` folders."""
    manifest, quote = backup.manifest, connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(NO_IDLE_TIMEOUT)
        cursor.execute(ALLOW_CHANGES)
        # One TRUNCATE for all tables, and deferred checks: rows may refer to later tables.
        cursor.execute(f"TRUNCATE {', '.join(map(quote, manifest.schema))}")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        with backup.convert_errors():
            for member, content in backup.members():
                kind, _, name = member.partition("/")
                if kind == "tables":
                    _load_table(name, manifest.tables[name].columns, content)
                elif kind == "files":
                    _extract_file(staged, PurePosixPath(name), content)
        for sequence, value in manifest.sequences.items():
            cursor.execute("SELECT setval(%s, %s)", [quote(sequence), value])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    Event.objects.move_before_new_transactions()
    record("backup.restored", by=None, target=None, label=f"made at {manifest.created_at}")


def _load_table(table: str, columns: list[str], content: IO[bytes]) -> None:
    statement = f"COPY {copy_target(table, columns)} FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while chunk := content.read(CHUNK_BYTES):
            copy.write(chunk)


def _extract_file(staged: dict[str, Path], name: PurePosixPath, content: IO[bytes]) -> None:
    is_inside = len(name.parts) > 1 and ".." not in name.parts and name.parts[0] in staged
    if not is_inside:
        raise BackupError(f"The backup has a file outside its folders: {name}.")
    target = staged[name.parts[0]].joinpath(*name.parts[1:])
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(content, file, CHUNK_BYTES)
