"""Reading a source file completely in one state, or failing with a reason."""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from uploads.transfer.content import Bytes, thread_buffer
from uploads.transfer.directories import DirectoryCache
from uploads.transfer.errors import NotRegularFile, SourceChanged, SourceError
from uploads.transfer.source_folder import file_problem, file_type_problem

# O_NONBLOCK: opening a pipe that replaced the file would block until something writes to it.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# The kernel's clock for file times is coarse: two changes within this time may get the same mtime.
MTIME_RESOLUTION_NS = 20_000_000
MAX_MTIME_CHECKS = 10
SINGLE_READ_BYTES = 256 * 1024
CHECKSUM_CHUNK_BYTES = 1024 * 1024
T = TypeVar("T")


class SourceFile:
    """An open source file, as the `Content` of an object.

    Raises `SourceError` if it cannot be opened or if its size, times or link count differ after
    reading from what they were when it was opened. `check` is called with each chunk.
    """

    def __init__(self, directories: DirectoryCache, path: str, check: Callable[[], None]) -> None:
        self.path = path
        self.check = check
        self.sha256 = ""
        self._directories = directories
        try:
            self._fd = self._open()
        except OSError as error:
            directories.clear()
            raise _open_error(error) from error

    def chunks(self, size: int) -> Iterator[Bytes]:
        if self.size < min(size, SINGLE_READ_BYTES):
            yield self._read_whole()
            return
        read_bytes, digest = 0, hashlib.sha256()
        for chunk in self._read_chunks(size):
            read_bytes += len(chunk)
            digest.update(chunk)
            yield chunk
        self._check_unchanged(read_bytes)
        self.sha256 = digest.hexdigest()

    def compute_sha256(self) -> str:
        """Read the file only to compute its SHA-256."""
        for _ in self.chunks(CHECKSUM_CHUNK_BYTES):
            self.check()
        return self.sha256

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> int:
        folder, _, name = self.path.rpartition("/")
        fd = os.open(name, _OPEN_FLAGS, dir_fd=self._directories.get(folder).fd)
        try:
            self._stat = _stat_when_quiet(fd)
            if problem := file_type_problem(self._stat.st_mode):
                raise NotRegularFile(problem)
        except BaseException:
            os.close(fd)
            raise
        self.size, self.mtime_ns = self._stat.st_size, self._stat.st_mtime_ns
        return fd

    def _read_whole(self) -> bytes:
        # Try to read one byte more, to detect a file that grows.
        data = self._read(os.pread, self.size + 1, 0)
        self._check_unchanged(len(data))
        self.sha256 = hashlib.sha256(data).hexdigest()
        return data

    def _read_chunks(self, size: int) -> Iterator[memoryview]:
        buffer, position = thread_buffer(size), 0
        while count := self._read(os.preadv, [buffer], position):
            self.check()
            yield buffer[:count]
            position += count
            if position > self.size:
                return

    def _read(self, function: Callable[..., T], target: object, position: int) -> T:
        try:
            return function(self._fd, target, position)
        except OSError as error:
            raise SourceChanged(file_problem(error)) from error

    def _check_unchanged(self, read_bytes: int) -> None:
        current = os.fstat(self._fd)
        if _state(current) != _state(self._stat):
            raise SourceChanged(self._describe_change(current))
        if read_bytes != self._stat.st_size:
            raise SourceChanged("The number of bytes read differs from its size.")

    def _describe_change(self, current: os.stat_result) -> str:
        """Return how the file changed, as a sentence for the owner of the folder."""
        folder, _, name = self.path.rpartition("/")
        try:
            parent_fd = self._directories.get(folder).fd
            at_path = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        except OSError:
            return "It was removed while it was read."
        if problem := file_type_problem(at_path.st_mode):
            return f"It was replaced while it was read: {problem[0].lower()}{problem[1:]}"
        if at_path.st_ino != current.st_ino:
            return "It was replaced while it was read."
        if current.st_size < self.size:
            return "It shrank while it was read."
        if current.st_size > self.size:
            return "It grew while it was read."
        return "It changed while it was read."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _stat_when_quiet(fd: int) -> os.stat_result:
    """Wait until the next change would give another mtime; return the stat."""
    for _ in range(MAX_MTIME_CHECKS):
        stat = os.fstat(fd)
        if not 0 <= time.time_ns() - stat.st_mtime_ns < MTIME_RESOLUTION_NS:
            return stat
        time.sleep(MTIME_RESOLUTION_NS / 1e9)
    raise SourceChanged("It is being written to.")


def _state(stat: os.stat_result) -> tuple[int, ...]:
    """Return what must not change; ctime and link count reveal renaming and removal."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink


def _open_error(error: OSError) -> SourceError:
    if error.errno == errno.ELOOP:
        return NotRegularFile("It is a symbolic link; links are not followed.")
    if error.errno == errno.ENXIO:
        return NotRegularFile("It is a socket or a device, not a regular file.")
    return SourceError(file_problem(error))
