import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from common.backup.errors import BackupError
from common.backup.manifest import FORMAT, MANIFEST_NAME, Manifest
from common.backup.writer import CHUNK_BYTES

MAX_NAMES_IN_ERROR = 5


class Backup:
    """A complete and undamaged backup; opening another file raises `BackupError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.convert_errors():
            digests, data = self._read()
            if data.get("format") == FORMAT:
                self.manifest = Manifest.from_json(data)
        if data.get("format") != FORMAT:
            raise BackupError(
                f"{path} has the backup format {data.get('format')}, and this version reads"
                f" format {FORMAT} only. Restore it with the version that made it."
            )
        expected = self.manifest.member_digests
        names = expected.keys() | digests
        if damaged := sorted(name for name in names if expected.get(name) != digests.get(name)):
            names_text = ", ".join(damaged[:MAX_NAMES_IN_ERROR])
            raise BackupError(f"{path} is damaged: {names_text}. Nothing was changed.")

    def members(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield each member's name and content, to be read before the next member.

        Use it within `convert_errors`.
        """
        # Read as a stream, so that a damaged header cannot make the reader seek elsewhere.
        with (
            gzip.open(self.path) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            for member in archive:
                content = archive.extractfile(member)
                if content is None:
                    raise tarfile.ReadError(f"{member.name} is not a file")
                yield member.name, content
            # Read to the end, where gzip's checksum is.
            while stream.read(CHUNK_BYTES):
                pass

    @contextmanager
    def convert_errors(self) -> Iterator[None]:
        """Raise any error of reading the file as `BackupError`."""
        try:
            yield
        except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError) as error:
            raise BackupError(
                f"{self.path} is not a backup or is damaged ({error}). Nothing was changed."
            ) from error
        except OSError as error:
            raise BackupError(
                f"{self.path} cannot be read: {error.strerror}. Nothing was changed."
            ) from error

    def _read(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the SHA-256 of each member except the manifest, and the parsed manifest."""
        digests, manifest = {}, None
        for name, content in self.members():
            if name == MANIFEST_NAME:
                manifest = json.load(content)
            else:
                digests[name] = _sha256(content)
        if not isinstance(manifest, dict):
            raise ValueError("the manifest is missing")
        return digests, manifest


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
