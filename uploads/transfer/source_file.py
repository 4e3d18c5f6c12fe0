"""Reading one file as one state of it, or not at all."""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from uploads.transfer.content import Bytes, thread_buffer
from uploads.transfer.errors import SourceChanged, SourceError
from uploads.transfer.folders import Folders
from uploads.transfer.sources import file_problem, kind_problem

# Without O_NONBLOCK, to open a pipe that came in the file's place would wait for who writes to it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# A kernel's clock ticks so slowly (in nanoseconds) that two changes may bear the same time.
TICK = 20_000_000
PATIENCE = 10  # ticks that a file may take to come to rest
AT_ONCE = 256 * 1024
T = TypeVar("T")


class SourceFile:
    """An open file of a folder, as the `Content` of an object.

    What its times, size and links were when it was opened they have to be when all is read.
    Raises `SourceError`; `check` is called with each chunk and may raise what it likes.
    """

    def __init__(self, folders: Folders, path: str, check: Callable[[], None]) -> None:
        self.path = path
        self.check = check
        self.sha256 = ""
        self._folders = folders
        try:
            self._fd = self._open()
        except OSError as error:
            folders.forget()
            raise SourceError(_problem(error)) from error

    def chunks(self, size: int) -> Iterator[Bytes]:
        if self.size < min(size, AT_ONCE):
            yield self._whole()
            return
        read, summed = 0, hashlib.sha256()
        for chunk in self._pieces(size):
            read += len(chunk)
            summed.update(chunk)
            yield chunk
        self._compare(read)
        self.sha256 = summed.hexdigest()

    def sum(self) -> str:
        """Read it for its SHA-256 alone."""
        for _ in self.chunks(1024 * 1024):
            self.check()
        return self.sha256

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> int:
        folder, _, name = self.path.rpartition("/")
        fd = os.open(name, _READ, dir_fd=self._folders.folder(folder).fd)
        try:
            self._known = known = _settled(fd)
            if problem := kind_problem(known.st_mode):
                raise SourceError(problem)
        except BaseException:
            os.close(fd)
            raise
        self.size, self.mtime_ns = known.st_size, known.st_mtime_ns
        return fd

    def _whole(self) -> bytes:
        # A byte more than it has, to see where it grows.
        data = self._read(os.pread, self.size + 1, 0)
        self._compare(len(data))
        self.sha256 = hashlib.sha256(data).hexdigest()
        return data

    def _pieces(self, size: int) -> Iterator[memoryview]:
        buffer, position = thread_buffer(size), 0
        while count := self._read(os.preadv, [buffer], position):
            self.check()
            yield buffer[:count]
            position += count
            if position > self.size:
                return

    def _read(self, call: Callable[..., T], what: object, position: int) -> T:
        try:
            return call(self._fd, what, position)
        except OSError as error:
            raise SourceChanged(file_problem(error)) from error

    def _compare(self, read: int) -> None:
        now, known = os.fstat(self._fd), self._known
        if _state(now) != _state(known):
            raise SourceChanged(self._what_happened(now))
        if read != known.st_size:
            raise SourceChanged("It ended elsewhere than its size says.")

    def _what_happened(self, now: os.stat_result) -> str:
        """In the words of who looks at the folder."""
        folder, _, name = self.path.rpartition("/")
        try:
            there = os.stat(name, dir_fd=self._folders.folder(folder).fd, follow_symlinks=False)
        except OSError:
            return "It vanished while it was read."
        if problem := kind_problem(there.st_mode):
            return f"It became something else while it was read: {problem[0].lower()}{problem[1:]}"
        if there.st_ino != now.st_ino:
            return "It was replaced while it was read."
        if now.st_size < self.size:
            return "It shrank while it was read."
        if now.st_size > self.size:
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


def _settled(fd: int) -> os.stat_result:
    """What the file is like, once a change would give it another time."""
    for _ in range(PATIENCE):
        known = os.fstat(fd)
        if not 0 <= time.time_ns() - known.st_mtime_ns < TICK:
            return known
        time.sleep(TICK / 1e9)
    raise SourceChanged("It is being written to.")


def _state(known: os.stat_result) -> tuple[int, ...]:
    """The time of the last change of any kind tells of renaming and removal as well."""
    return known.st_size, known.st_mtime_ns, known.st_ctime_ns, known.st_nlink


def _problem(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "It is a symbolic link, and those are not followed."
    if error.errno == errno.ENXIO:
        return "It is a socket or a device and no file."
    return file_problem(error)
