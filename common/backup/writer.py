import fcntl
import hashlib
import io
import json
import os
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from common.backup.errors import BackupError
from common.backup.folders import finish_restores
from common.backup.manifest import FORMAT, MANIFEST_NAME, Manifest, TableEntry
from common.backup.tables import (
    Table,
    copy_target,
    describe_schema,
    read_migrations,
    read_sequences,
    read_tables,
)
from common.postgres.options import NO_IDLE_TIMEOUT

CHUNK_BYTES = 1024 * 1024
TEMPORARY_SUFFIX = ".bureau-part"
# A low level is enough for rows, and most uploaded files are compressed already.
COMPRESSION_LEVEL = 3


def write_backup(path: Path) -> Manifest:
    """Write a backup to `path` and return its manifest.

    It is written under a temporary name first, so a file named `path` is always complete.
    """
    finish_restores()
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        # Readable by its owner only: it contains all users' data and password hashes.
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with tarfile.open(
                fileobj=file, mode="w:gz", compresslevel=COMPRESSION_LEVEL
            ) as archive:
                manifest = _write_members(archive)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


def _remove_leftovers(folder: Path) -> None:
    """Remove the files of killed backups; those of running ones are locked."""
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError), leftover.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def _write_members(archive: tarfile.TarFile) -> Manifest:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(NO_IDLE_TIMEOUT)
        tables = read_tables()
        migrations, sequences = read_migrations(), read_sequences()
        entries = {table.name: _add_table(archive, table) for table in tables}
    manifest = Manifest(
        format=FORMAT,
        version=settings.VERSION,
        created_at=timezone.now().isoformat(),
        migrations=migrations,
        schema=describe_schema(tables),
        sequences=sequences,
        tables=entries,
        files=dict(_add_files(archive)),
    )
    body = json.dumps(asdict(manifest), indent=1).encode()
    _add_member(archive, MANIFEST_NAME, io.BytesIO(body), len(body))
    return manifest


def _add_table(archive: tarfile.TarFile, table: Table) -> TableEntry:
    columns = table.data_columns
    with tempfile.TemporaryFile() as rows, connection.cursor() as cursor:
        with cursor.copy(f"COPY {copy_target(table.name, columns)} TO STDOUT") as copy:
            for chunk in copy:
                rows.write(chunk)
        count, size = cursor.rowcount, rows.tell()
        rows.seek(0)
        digest = _add_member(archive, f"tables/{table.name}", rows, size)
    return TableEntry(columns, count, digest)


def _add_files(archive: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    """Add the uploaded files; yield each member's name and SHA-256."""
    for name, folder in settings.BACKUP_FOLDERS.items():
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder).as_posix()
            # A hidden folder at the top level holds incomplete files.
            if relative.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            member = f"files/{name}/{relative}"
            try:
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    yield member, _add_member(archive, member, file, size)
            except FileNotFoundError:
                continue  # deleted after it was listed


def _add_member(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> str:
    """Add a member and return the SHA-256 of the bytes that were added."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(timezone.now().timestamp()), 0o600
    reader = _HashingReader(content)
    archive.addfile(member, reader)  # type: ignore[arg-type]
    return reader.digest.hexdigest()


class _HashingReader:
    """Reads a file and hashes the bytes it returns."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self._content.read(size)
        self.digest.update(chunk)
        return chunk
