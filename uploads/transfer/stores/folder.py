import errno
import hashlib
import os
import stat
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from django.core.files.storage import FileSystemStorage

from uploads.transfer.content import Content, Received, thread_buffer
from uploads.transfer.errors import StoreBusy, StoreError
from uploads.transfer.folders import Folder, Folders
from uploads.transfer.keys import check_key
from uploads.transfer.stores.base import Store, Stored

CHUNK = 1024 * 1024
DAY = 24 * 3600
ASIDE = ".incoming"
MODE = 0o640
# The attribute that keeps an object's sum and who put it, in 48 bytes: ext4 has room for so many
# in the inode itself. Where there are no attributes, sums are computed again when they are asked.
LABEL = "user.bureau"
NOBODY = UUID(int=0)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

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


class FolderStore(Store, FileSystemStorage):
    """Objects as files in `<root>/<company code>/<bucket>/<key>`.

    An object is written to `<root>/.incoming/<company code>/<bucket>/`, read back, compared and
    then renamed to its key. It gets the modification time of the file that it was made of.

    A killed process loses nothing that was renamed. What a power cut takes is another matter:
    with `durable`, each object and its name are on the disk before it counts as stored.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        company_code: str,
        bucket_name: str,
        region_name: str = "",
        durable: bool = False,
    ) -> None:
        FileSystemStorage.__init__(self, location=Path(root, company_code, bucket_name))
        self._durable = durable
        self._numbers = count()
        self._run = uuid4().hex[:12]
        with _named_errors:
            os.makedirs(root, 0o750, exist_ok=True)
            top = Folder.at(root)
            self._folders = Folders(top.below(f"{company_code}/{bucket_name}", make=True))
            self._aside = top.below(f"{ASIDE}/{company_code}/{bucket_name}", make=True)

    def check(self) -> None:
        """The folder was made when the store was."""

    def is_empty(self, prefix: str) -> bool:
        with _named_errors:
            try:
                with os.scandir(self._folders.folder(prefix).fd) as entries:
                    return next(entries, None) is None
            except (FileNotFoundError, NotADirectoryError):
                return True

    def find(self, key: str) -> Stored | None:
        with _named_errors:
            try:
                fd = self._opened(key)
            except (FileNotFoundError, NotADirectoryError):
                return None
            try:
                return _stored(fd)
            finally:
                os.close(fd)

    def sha256_of(self, key: str) -> str:
        with _named_errors:
            try:
                file = os.fdopen(self._opened(key), "rb")
            except (FileNotFoundError, NotADirectoryError):
                return ""
            with file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    def put(self, key: str, content: Content, *, by: UUID | None = None) -> None:
        folder, _, name = key.rpartition("/")
        aside = f"{by or NOBODY}.{self._run}.{next(self._numbers)}"
        with _named_errors:
            # Whether the key can be there is known before a large file has been copied.
            parent = self._folders.folder(folder, make=True)
            fd = os.open(aside, _CREATE, MODE, dir_fd=self._aside.fd)
            try:
                self._write(fd, content, by)
                content.check()
                os.rename(aside, name, src_dir_fd=self._aside.fd, dst_dir_fd=parent.fd)
            except BaseException:
                self._folders.forget()
                with suppress(FileNotFoundError):
                    os.unlink(aside, dir_fd=self._aside.fd)
                raise
            finally:
                os.close(fd)
            if self._durable:
                os.fsync(parent.fd)

    def receive(self, key: str, stream: BinaryIO, limit: int) -> tuple[int, str]:
        content = Received(stream, limit)
        self.put(check_key(key), content)
        return content.size, content.sha256

    def discard_leftovers(self, by: UUID) -> None:
        """Those of a session that nobody runs again go when they are a day old."""
        with _named_errors, os.scandir(self._aside.fd) as entries:
            for entry in entries:
                owner, run = entry.name.split(".")[:2]
                with suppress(FileNotFoundError):
                    if run != self._run and (owner == str(by) or _is_old(entry)):
                        os.unlink(entry.name, dir_fd=self._aside.fd)

    def _opened(self, key: str) -> int:
        folder, _, name = key.rpartition("/")
        return os.open(name, _READ, dir_fd=self._folders.folder(folder).fd)

    def _write(self, fd: int, content: Content, by: UUID | None) -> None:
        written = 0
        for chunk in content.chunks(CHUNK):
            _write_all(fd, chunk)
            written += len(chunk)
        if _sum(fd, written) != content.sha256:
            raise StoreBusy("What was written is not what was read.")
        if content.mtime_ns is not None:
            os.utime(fd, ns=(content.mtime_ns, content.mtime_ns))
        _label(fd, content.sha256, by or NOBODY)
        if self._durable:
            os.fsync(fd)


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


class _NamedErrors:
    """What an OSError means for the object; not a generator, for it is entered for each file."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, OSError):
            problem = _PROBLEMS.get(error.errno or 0, f"The store failed: {error.strerror}.")
            raise (StoreError if error.errno in _LASTING else StoreBusy)(problem) from error


_named_errors = _NamedErrors()
