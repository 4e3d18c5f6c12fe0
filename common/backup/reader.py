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
from common.backup.writer import CHUNK, FORMAT


class Backup:
    """A backup that has been read to its end and found whole; raises `BackupError` where not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.legible():
            digests = {name: _digest(content) for name, content in self.members()}
            self.manifest: dict[str, Any] = self._manifest()
        if self.manifest.get("format") != FORMAT:
            raise BackupError(f"{path} has the format {self.manifest.get('format')}, not {FORMAT}.")
        expected = {f"tables/{t}": facts["sha256"] for t, facts in self.manifest["tables"].items()}
        expected |= self.manifest["files"]
        del digests["manifest.json"]
        names = expected.keys() | digests
        if wrong := sorted(name for name in names if expected.get(name) != digests.get(name)):
            raise BackupError(f"{path} is damaged: {', '.join(wrong[:5])}. Nothing was changed.")

    def members(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Names and contents, one after the other; a content is to be read before the next.

        To be used within `legible`.
        """
        # As a stream: a damaged index can't send the reader elsewhere.
        with (
            gzip.open(self.path) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            for member in archive:
                content = archive.extractfile(member)
                if content is None:
                    raise tarfile.ReadError(f"{member.name} is no file")
                yield member.name, content
            # To the end, where the stream's own check sum is.
            while stream.read(CHUNK):
                pass

    @contextmanager
    def legible(self) -> Iterator[None]:
        """Tell as `BackupError` whatever goes wrong inside with reading the file."""
        try:
            yield
        except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError) as error:
            raise BackupError(
                f"{self.path} is no backup or is damaged ({error}). Nothing was changed."
            ) from error
        except OSError as error:
            raise BackupError(
                f"{self.path} can't be read: {error.strerror}. Nothing was changed."
            ) from error

    def _manifest(self) -> dict[str, Any]:
        for name, content in self.members():
            if name == "manifest.json":
                return dict(json.load(content))
        raise ValueError("it has no end")


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
