import enum
from collections.abc import Callable
from typing import NamedTuple, Protocol
from uuid import UUID

from uploads.transfer.content import Content, StoredObject
from uploads.transfer.directories import Directory, DirectoryCache
from uploads.transfer.errors import AccessDenied, NotRegularFile, TransferError
from uploads.transfer.source_file import SourceFile
from uploads.transfer.source_folder import INVALID_NAME

# The dates that every file system can store: 1970 to 2038. Another one may be changed by the store.
STORABLE_MTIME_NS = range(2**31 * 10**9)


class CopyStatus(enum.StrEnum):
    """The status of a file after a copy; the values are those of `SessionFile.Status`."""

    UPLOADED = "uploaded"
    SKIPPED = "skipped"
    FAILED = "failed"


class CopyResult(NamedTuple):
    """The result of copying one file.

    size, mtime_ns, sha256: of the file as it was read; unknown if the copy failed.
    is_transient: for a failed copy, whether another attempt may succeed.
    """

    status: CopyStatus
    size: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    error: str = ""
    is_transient: bool = False


class CopyTarget(Protocol):
    """The part of a `Store` that copying needs."""

    def find(self, key: str) -> StoredObject | None: ...
    def sha256_of(self, key: str) -> str: ...
    def put(self, key: str, content: Content, *, owner_id: UUID | None = None) -> None: ...


class CopyOptions(NamedTuple):
    """How to copy the files of a session.

    owner_id: the session's id, stored with each object. By it a run recognises objects whose
        results an earlier, killed run did not save.
    compare_checksums: detect unchanged files by content instead of size and modification time.
    target_is_empty: do not search for existing objects.
    """

    owner_id: UUID
    compare_checksums: bool = False
    target_is_empty: bool = False


class FileCopier:
    """Copies files of a source directory into a store; may be used by many threads.

    check_cancelled: called for each file and each chunk; raises `TransferCancelled`.
    """

    def __init__(
        self,
        source: Directory,
        target: CopyTarget,
        options: CopyOptions,
        check_cancelled: Callable[[], None],
    ) -> None:
        self._directories = DirectoryCache(source)
        self._target = target
        self._options = options
        self._check_cancelled = check_cancelled

    def expect_existing_objects(self) -> None:
        """Search for existing objects from now on, even if the target was empty at first."""
        self._options = self._options._replace(target_is_empty=False)

    def copy(self, path: str, key: str) -> CopyResult:
        """Copy one file unless the store has it; raises `TransferCancelled`."""
        self._check_cancelled()
        if "\\" in path:
            # The path was escaped (`keys.escape_name`): its real name cannot be part of a key.
            return CopyResult(CopyStatus.FAILED, error=INVALID_NAME)
        try:
            with SourceFile(self._directories, path, self._check_cancelled) as file:
                return self._copy(file, key)
        except NotRegularFile as error:
            return CopyResult(CopyStatus.SKIPPED, error=str(error))
        except TransferError as error:
            return CopyResult(CopyStatus.FAILED, error=str(error), is_transient=error.is_transient)

    def _copy(self, file: SourceFile, key: str) -> CopyResult:
        if not self._options.target_is_empty and (result := self._find_unchanged(file, key)):
            return result
        self._target.put(key, file, owner_id=self._options.owner_id)
        return CopyResult(CopyStatus.UPLOADED, file.size, file.mtime_ns, file.sha256)

    def _find_unchanged(self, file: SourceFile, key: str) -> CopyResult | None:
        """Return the result for a file that the store has already, else None."""
        try:
            stored = self._target.find(key)
            if stored is None or stored.size != file.size:
                return None
            sha256 = self._sha256_if_unchanged(file, key, stored)
        except AccessDenied:
            # A store may accept objects and not let them be read; then each one is sent again.
            return None
        is_own = stored.owner_id == self._options.owner_id
        status = CopyStatus.UPLOADED if is_own else CopyStatus.SKIPPED
        return CopyResult(status, file.size, file.mtime_ns, sha256) if sha256 else None

    def _sha256_if_unchanged(self, file: SourceFile, key: str, stored: StoredObject) -> str:
        """Return the object's SHA-256 if it has the file's content, else ""."""
        is_same_time = stored.mtime_ns == file.mtime_ns
        may_store_time = file.mtime_ns in STORABLE_MTIME_NS
        if self._options.compare_checksums or not (is_same_time or may_store_time):
            sha256 = file.compute_sha256()
            return sha256 if self._target.sha256_of(key) == sha256 else ""
        return (stored.sha256 or self._target.sha256_of(key)) if is_same_time else ""
