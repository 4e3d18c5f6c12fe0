"""Objects as the files of a folder.

Nothing here needs Django: `child.py` works with these too, and is there sooner than that is loaded.
"""

import errno
import hashlib
import os
import stat
import time
from contextlib import suppress
from itertools import count
from uuid import UUID

from uploads.transfer.content import Content, Stored, thread_buffer
from uploads.transfer.errors import StoreBusy, StoreError
from uploads.transfer.folders import Folder, Folders

CHUNK = 1024 * 1024
DAY = 24 * 3600
MODE = 0o640
# The attribute that keeps an object's sum and who put it, in 48 bytes: ext4 has room for so many
# in the inode itself. Where there are no attributes, sums are computed again when they are asked.
LABEL = "user.bureau"
NOBODY = UUID(int=0)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Linux makes files without a name, and gives them one by way of /proc.
_OPEN_FILES = "/proc/self/fd"
_NAMELESS = 0
if hasattr(os, "O_TMPFILE") and os.path.isdir(_OPEN_FILES):
    _NAMELESS = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
# What file systems say that have no such files.
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}

_PROBLEMS = {
    errno.ENOTDIR: "Part of its key is the key of another object, and a folder can't be there.",
    errno.ELOOP: "Part of its key is a symbolic link in the store.",
    errno.EISDIR: "Its key is a folder in the store, with other objects in it.",
    errno.ENAMETOOLONG: "Its key is too long for the store's file system.",
    errno.EACCES: "The store's folder can't be written to.",
    errno.EROFS: "The store's folder can't be written to.",
    errno.ENOSPC: "The store is full.",
    errno.EDQUOT: "The store is full.",
}
_LASTING = {errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENAMETOOLONG, errno.EACCES, errno.EROFS}


class NamedErrors:
    """What an OSError means for the object; not a generator, for it is entered for each file."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, OSError):
            problem = _PROBLEMS.get(error.errno or 0, f"The store failed: {error.strerror}.")
            raise (StoreError if error.errno in _LASTING else StoreBusy)(problem) from error


named_errors = NamedErrors()


class ObjectFolder:
    """Objects as files below `folder`, each at its key; as a `Store` has it.

    An object is written to a file that has no name yet, read back and compared, and then gets its
    key. It has the modification time of the file that it was made of. Where there are no files
    without a name, and where the key is another object's until then, it has one in `aside` before.

    A killed process loses nothing that has its key. What a power cut takes is another matter:
    with `durable`, each object and its name are on the disk before it counts as stored.
    """

    def __init__(self, folder: Folder, aside: Folder, *, durable: bool = False) -> None:
        self.folder = folder
        self.aside = aside
        self.durable = durable
        self._folders = Folders(folder)
        self._numbers = count()
        self._run = os.urandom(6).hex()

    def is_empty(self, prefix: str) -> bool:
        with named_errors:
            try:
                with os.scandir(self._folders.folder(prefix).fd) as entries:
                    return next(entries, None) is None
            except (FileNotFoundError, NotADirectoryError):
                return True

    def find(self, key: str) -> Stored | None:
        with named_errors:
            try:
                fd = self._opened(key)
            except (FileNotFoundError, NotADirectoryError):
                return None
            try:
                return _stored(fd)
            finally:
                os.close(fd)

    def sha256_of(self, key: str) -> str:
        with named_errors:
            try:
                file = os.fdopen(self._opened(key), "rb")
            except (FileNotFoundError, NotADirectoryError):
                return ""
            with file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    def put(self, key: str, content: Content, *, by: UUID | None = None) -> None:
        path, _, name = key.rpartition("/")
        with named_errors:
            try:
                # Whether the key can be there is known before a large file has been copied.
                folder = self._folders.folder(path, make=True)
                self._put(folder, name, content, by or NOBODY)
            except BaseException:
                self._folders.forget()
                raise

    def discard_leftovers(self, by: UUID) -> None:
        """Those of a session that nobody runs again go when they are a day old."""
        with named_errors, os.scandir(self.aside.fd) as entries:
            for entry in entries:
                owner, run = entry.name.split(".")[:2]
                with suppress(FileNotFoundError):
                    if run != self._run and (owner == str(by) or _is_old(entry)):
                        os.unlink(entry.name, dir_fd=self.aside.fd)

    def _opened(self, key: str) -> int:
        path, _, name = key.rpartition("/")
        return os.open(name, _READ, dir_fd=self._folders.folder(path).fd)

    def _put(self, folder: Folder, name: str, content: Content, by: UUID) -> None:
        aside = f"{by}.{self._run}.{next(self._numbers)}"
        fd, is_aside = self._created(folder, aside)
        try:
            _write(fd, content, by)
            if self.durable:
                os.fsync(fd)
            content.check()
            if is_aside or not self._was_named(fd, folder, name, aside):
                os.rename(aside, name, src_dir_fd=self.aside.fd, dst_dir_fd=folder.fd)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(aside, dir_fd=self.aside.fd)
            raise
        finally:
            os.close(fd)
        if self.durable:
            os.fsync(folder.fd)

    def _created(self, folder: Folder, aside: str) -> tuple[int, bool]:
        """A new file, to be written and read, and whether it has a name in `aside`."""
        if _NAMELESS:
            try:
                return os.open(".", _NAMELESS, MODE, dir_fd=folder.fd), False
            except OSError as error:
                if error.errno not in _NO_NAMELESS:
                    raise
        return os.open(aside, _CREATE, MODE, dir_fd=self.aside.fd), True

    def _was_named(self, fd: int, folder: Folder, name: str, aside: str) -> bool:
        """Give the file its name; where that is taken, one in `aside` instead, and return False."""
        nameless = f"{_OPEN_FILES}/{fd}"
        try:
            os.link(nameless, name, dst_dir_fd=folder.fd, follow_symlinks=True)
        except FileExistsError:
            os.link(nameless, aside, dst_dir_fd=self.aside.fd, follow_symlinks=True)
            return False
        return True


def _write(fd: int, content: Content, by: UUID) -> None:
    written = 0
    chunk: bytes | memoryview = b""
    for chunk in content.chunks(CHUNK):
        _write_all(fd, chunk)
        written += len(chunk)
    if isinstance(chunk, bytes) and written == len(chunk):
        # It came in one piece, which is there still; views would be compared byte by byte.
        is_same = os.pread(fd, written + 1, 0) == chunk
    else:
        is_same = _sum(fd, written) == content.sha256
    if not is_same:
        raise StoreBusy("What was written is not what was read.")
    if content.mtime_ns is not None:
        os.utime(fd, ns=(content.mtime_ns, content.mtime_ns))
    _label(fd, content.sha256, by)


def _write_all(fd: int, chunk: bytes | memoryview) -> None:
    written = os.write(fd, chunk)
    while written < len(chunk):
        written += os.write(fd, memoryview(chunk)[written:])


def _sum(fd: int, size: int) -> str:
    """The SHA-256 of the file, as the kernel gives it back; "" where it has another size."""
    summed, position = hashlib.sha256(), 0
    buffer = thread_buffer(min(CHUNK, size + 1))
    while count := os.preadv(fd, [buffer], position):
        summed.update(buffer[:count])
        position += count
        if position >= size and count < len(buffer):
            break
    return summed.hexdigest() if position == size else ""


def _is_old(entry: os.DirEntry[str]) -> bool:
    return time.time() - entry.stat(follow_symlinks=False).st_ctime > DAY


def _label(fd: int, sha256: str, by: UUID) -> None:
    # Not every file system keeps attributes, nor every system.
    if hasattr(os, "setxattr"):
        try:
            os.setxattr(fd, LABEL, bytes.fromhex(sha256) + by.bytes)
        except OSError:
            return


def _stored(fd: int) -> Stored | None:
    known = os.fstat(fd)
    if not stat.S_ISREG(known.st_mode):
        return None
    label = b""
    if hasattr(os, "getxattr"):
        with suppress(OSError):
            label = os.getxattr(fd, LABEL)
    if len(label) != 48:
        return Stored(known.st_size, known.st_mtime_ns, "", None)
    return Stored(known.st_size, known.st_mtime_ns, label[:32].hex(), UUID(bytes=label[32:]))
