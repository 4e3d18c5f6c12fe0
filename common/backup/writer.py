import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from common.backup.errors import BackupError
from common.backup.tables import Table, migrations, sequences, tables

FORMAT = 1
CHUNK = 1024 * 1024
# What compresses well are rows; most uploaded files are compressed already.
COMPRESSION = 3


def write(path: Path) -> dict[str, Any]:
    """Write a backup to `path` and return its manifest.

    Under another name until all is on the disk, so that what has this name is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    try:
        # Its owner's alone: it holds everybody's notes and password hashes.
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=COMPRESSION) as archive:
                manifest = _fill(archive)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise BackupError(f"{path} can't be written: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)
    return manifest


def _fill(archive: tarfile.TarFile) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": settings.VERSION,
        "created_at": timezone.now().isoformat(),
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        manifest["migrations"] = migrations()
        manifest["sequences"] = sequences()
        manifest["tables"] = {table.name: _add_table(archive, table) for table in tables()}
    manifest["files"] = dict(_add_files(archive))
    body = json.dumps(manifest, indent=1).encode()
    _add(archive, "manifest.json", io.BytesIO(body), len(body))
    return manifest


def _add_table(archive: tarfile.TarFile, table: Table) -> dict[str, Any]:
    with tempfile.TemporaryFile() as rows, connection.cursor() as cursor:
        with cursor.copy(f"COPY {table.source} TO STDOUT") as copy:
            for chunk in copy:
                rows.write(chunk)
        count, size = cursor.rowcount, rows.tell()
        rows.seek(0)
        digest = _add(archive, f"tables/{table.name}", rows, size)
    return {"columns": table.columns, "rows": count, "sha256": digest}


def _add_files(archive: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    """The names of the files in the archive, each with its SHA-256."""
    for name, folder in settings.BACKUP_FOLDERS.items():
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder).as_posix()
            # A hidden folder at the top holds what is not whole yet.
            if relative.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            member = f"files/{name}/{relative}"
            try:
                with path.open("rb") as file:
                    yield member, _add(archive, member, file, os.fstat(file.fileno()).st_size)
            except FileNotFoundError:
                continue  # removed since it was listed


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> str:
    """Add a member and return the SHA-256 of just what was put in."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(timezone.now().timestamp()), 0o600
    hashed = _Hashed(content)
    archive.addfile(member, hashed)  # type: ignore[arg-type]
    return hashed.digest.hexdigest()


class _Hashed:
    """Reads a file and hashes what is read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self._content.read(size)
        self.digest.update(chunk)
        return chunk
