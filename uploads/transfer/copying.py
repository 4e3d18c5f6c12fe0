"""One file into a store: found unchanged there, or sent."""

import enum
from collections.abc import Callable
from typing import NamedTuple, Protocol
from uuid import UUID

from uploads.transfer.content import Content, Stored
from uploads.transfer.errors import TransferError
from uploads.transfer.folders import Folder, Folders
from uploads.transfer.source_file import SourceFile
from uploads.transfer.sources import NO_KEY


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


class Target(Protocol):
    """What of a `Store` is needed to copy into it."""

    def find(self, key: str) -> Stored | None: ...
    def sha256_of(self, key: str) -> str: ...
    def put(self, key: str, content: Content, *, by: UUID | None = None) -> None: ...


class How(NamedTuple):
    """by: the session. What it has put before, and a killed process did not tell, is known by that.
    by_checksum: compare contents, and not sizes and times, to know what is unchanged.
    is_new: nothing is there yet, so nothing is looked for.
    """

    by: UUID
    by_checksum: bool = False
    is_new: bool = False


class Copying:
    """Copies files of a folder into a store, for one session and by any number of threads.

    check: called for each file and often while one is read; raises `Stopped`.
    """

    def __init__(self, source: Folder, target: Target, how: How, check: Callable[[], None]) -> None:
        self._folders = Folders(source)
        self._target = target
        self._how = how
        self._check = check

    def look(self) -> None:
        """Look for each object from now on, though there were none at the beginning."""
        self._how = self._how._replace(is_new=False)

    def copy(self, path: str, key: str) -> Outcome:
        """What became of the file; `Stopped` where the session is not to go on."""
        self._check()
        if "\\" in path:
            # Not a path, but how one is shown that makes no key (`keys.printable`).
            return Outcome(Fate.FAILED, error=NO_KEY)
        try:
            with SourceFile(self._folders, path, self._check) as file:
                return self._copy(file, key)
        except TransferError as error:
            return Outcome(Fate.FAILED, error=str(error), is_passing=error.is_passing)

    def _copy(self, file: SourceFile, key: str) -> Outcome:
        stored = None if self._how.is_new else self._target.find(key)
        if stored is not None and stored.size == file.size:
            known = self._known_sum(file, key, stored)
            if known:
                fate = Fate.UPLOADED if stored.put_by == self._how.by else Fate.SKIPPED
                return Outcome(fate, file.size, file.mtime_ns, known)
        self._target.put(key, file, by=self._how.by)
        return Outcome(Fate.UPLOADED, file.size, file.mtime_ns, file.sha256)

    def _known_sum(self, file: SourceFile, key: str, stored: Stored) -> str:
        """The object's SHA-256 if it is what the file is; "" if it is not."""
        if self._how.by_checksum:
            known = file.sum()
            return known if self._target.sha256_of(key) == known else ""
        if stored.mtime_ns != file.mtime_ns:
            return ""
        return stored.sha256 or self._target.sha256_of(key)
