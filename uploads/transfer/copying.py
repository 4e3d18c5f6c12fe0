"""One file into a store: found unchanged there, or sent."""

import enum
from typing import NamedTuple
from uuid import UUID

from uploads.transfer.errors import TransferError
from uploads.transfer.folders import Folder, Folders
from uploads.transfer.reading import SourceFile
from uploads.transfer.sources import NO_KEY
from uploads.transfer.stop import Stop
from uploads.transfer.stores.base import Store, Stored


class Fate(enum.StrEnum):
    """What became of a file; the words are those of `SessionFile.Status`."""

    UPLOADED = "uploaded"
    SKIPPED = "skipped"
    FAILED = "failed"


class Outcome(NamedTuple):
    """`size`, `mtime_ns` and `sha256` are those of the file as it was read; unknown if it failed.

    `is_passing` says of a failure that another try may do better.
    """

    fate: Fate
    size: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    error: str = ""
    is_passing: bool = False


class Copying:
    """Copies files of a folder into a store, for one session and by any number of threads.

    by: the session. What it has put before, and a killed process did not tell, is known by that.
    by_checksum: compare contents, and not sizes and times, to know what is unchanged.
    is_new: nothing is there yet, so nothing is looked for.
    """

    def __init__(
        self,
        source: Folder,
        store: Store,
        *,
        by: UUID,
        stop: Stop,
        by_checksum: bool = False,
        is_new: bool = False,
    ) -> None:
        self._folders = Folders(source)
        self._store = store
        self._by = by
        self._by_checksum = by_checksum
        self._is_new = is_new
        self._stop = stop

    def copy(self, path: str, key: str) -> Outcome:
        """What became of the file; `Stopped` where the session is not to go on."""
        self._stop.check()
        if "\\" in path:
            # Not a path, but how one is shown that makes no key (`keys.printable`).
            return Outcome(Fate.FAILED, error=NO_KEY)
        try:
            with SourceFile(self._folders, path, self._stop.check) as file:
                return self._copy(file, key)
        except TransferError as error:
            return Outcome(Fate.FAILED, error=str(error), is_passing=error.is_passing)

    def _copy(self, file: SourceFile, key: str) -> Outcome:
        stored = None if self._is_new else self._store.find(key)
        if stored is not None and stored.size == file.size:
            known = self._known_sum(file, key, stored)
            if known:
                fate = Fate.UPLOADED if stored.put_by == self._by else Fate.SKIPPED
                return Outcome(fate, file.size, file.mtime_ns, known)
        self._store.put(key, file, by=self._by)
        return Outcome(Fate.UPLOADED, file.size, file.mtime_ns, file.sha256)

    def _known_sum(self, file: SourceFile, key: str, stored: Stored) -> str:
        """The object's SHA-256 if it is what the file is; "" if it is not."""
        if self._by_checksum:
            known = file.sum()
            return known if self._store.sha256_of(key) == known else ""
        if stored.mtime_ns != file.mtime_ns:
            return ""
        return stored.sha256 or self._store.sha256_of(key)
