"""Objects as the files of a directory.

This module does not import Django: the process of `copy_worker_main` uses it too, and starts much
faster without.
"""

import errno
import hashlib
import os
import stat
import time
from contextlib import suppress
from itertools import count
from uuid import UUID

from uploads.transfer.content import Content, StoredObject, thread_buffer
from uploads.transfer.directories import Directory, DirectoryCache
from uploads.transfer.errors import StoreBusy, StoreError

CHUNK_BYTES = 1024 * 1024
MAX_LEFTOVER_AGE_S = 24 * 3600
FILE_MODE = 0o640
# An extended attribute with the object's SHA-256 and owner id in 48 bytes, which fit into ext4's
# inode. On file systems without extended attributes checksums are computed when needed.
XATTR_NAME = "user.bureau"
XATTR_BYTES = 48
NIL_OWNER_ID = UUID(int=0)
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Linux can create a file without a name (O_TMPFILE) and link it to a name through /proc later.
_OPEN_FILES = "/proc/self/fd"
TMPFILE_FLAGS = 0
if hasattr(os, "O_TMPFILE") and os.path.isdir(_OPEN_FILES):
    TMPFILE_FLAGS = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
# The errors of file systems that do not support O_TMPFILE.
_TMPFILE_UNSUPPORTED = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}

_PROBLEMS = {
    errno.ENOTDIR: "The first segments of its key are the key of another object.",
    errno.ELOOP: "A segment of its key is a symbolic link in the store.",
    errno.EISDIR: "Its key is a folder with other objects in the store.",
    errno.ENAMETOOLONG: "Its key is too long for the store's file system.",
    errno.EACCES: "The store's folder is not writable.",
    errno.EROFS: "The store's folder is not writable.",
    errno.ENOSPC: "The store is full.",
    errno.EDQUOT: "The store is full.",
}
_PERMANENT = {
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EACCES,
    errno.EROFS,
}


class StoreErrors:
    """A context manager that raises each OSError as a StoreError.

    It is entered for each file, and a class is faster than a function with `contextmanager`.
    """

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, OSError):
            problem = _PROBLEMS.get(error.errno or 0, f"The store failed: {error.strerror}.")
            raise (StoreError if error.errno in _PERMANENT else StoreBusy)(problem) from error


store_errors = StoreErrors()


class ObjectFolder:
    """The part of a `Store` that keeps objects as files below `directory`.

    An object is written to a file without a name, read back and compared, and then linked to its
    key. It gets the modification time of its source file. If the file system does not support
    files without a name, or if an object is replaced, the file first has a name in `staging`.

    A killed process never leaves a partial object. With `durable`, an object also survives a power
    cut: it and its name are synced to disk before it counts as stored.
    """

    def __init__(self, directory: Directory, staging: Directory, *, durable: bool = False) -> None:
        self.directory = directory
        self.staging = staging
        self.durable = durable
        self._directories = DirectoryCache(directory)
        self._numbers = count()
        self.instance_id = os.urandom(6).hex()

    def is_empty(self, prefix: str) -> bool:
        with store_errors:
            try:
                with os.scandir(self._directories.get(prefix).fd) as entries:
                    return next(entries, None) is None
            except (FileNotFoundError, NotADirectoryError):
                return True

    def find(self, key: str) -> StoredObject | None:
        with store_errors:
            try:
                fd = self._open_object(key)
            except (FileNotFoundError, NotADirectoryError):
                return None
            try:
                return _stored_object(fd)
            finally:
                os.close(fd)

    def sha256_of(self, key: str) -> str:
        with store_errors:
            try:
                file = os.fdopen(self._open_object(key), "rb")
            except (FileNotFoundError, NotADirectoryError):
                return ""
            with file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    def put(self, key: str, content: Content, *, owner_id: UUID | None = None) -> None:
        path, _, name = key.rpartition("/")
        with store_errors:
            try:
                # Create the parent first: an impossible key fails before a large file is copied.
                parent = self._directories.get(path, create=True)
                self._put(parent, name, content, owner_id or NIL_OWNER_ID)
            except BaseException:
                self._directories.clear()
                raise

    def discard_leftovers(self, owner_id: UUID) -> None:
        """Delete this owner's staged files of other instances, and all that are a day old."""
        with store_errors, os.scandir(self.staging.fd) as entries:
            for entry in entries:
                owner, instance = entry.name.split(".")[:2]
                with suppress(FileNotFoundError):
                    if instance != self.instance_id and (owner == str(owner_id) or _is_old(entry)):
                        os.unlink(entry.name, dir_fd=self.staging.fd)

    def _open_object(self, key: str) -> int:
        path, _, name = key.rpartition("/")
        return os.open(name, _READ_FLAGS, dir_fd=self._directories.get(path).fd)

    def _put(self, parent: Directory, name: str, content: Content, owner_id: UUID) -> None:
        staging_name = f"{owner_id}.{self.instance_id}.{next(self._numbers)}"
        fd, is_staged = self._create(parent, staging_name)
        try:
            _write(fd, content, owner_id)
            if self.durable:
                os.fsync(fd)
            content.check()
            if is_staged or not self._link(fd, parent, name, staging_name):
                os.rename(staging_name, name, src_dir_fd=self.staging.fd, dst_dir_fd=parent.fd)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(staging_name, dir_fd=self.staging.fd)
            raise
        finally:
            os.close(fd)
        if self.durable:
            os.fsync(parent.fd)

    def _create(self, parent: Directory, staging_name: str) -> tuple[int, bool]:
        """Create a file; return its descriptor and whether it has a name in `staging`."""
        if TMPFILE_FLAGS:
            try:
                return os.open(".", TMPFILE_FLAGS, FILE_MODE, dir_fd=parent.fd), False
            except OSError as error:
                if error.errno not in _TMPFILE_UNSUPPORTED:
                    raise
        return os.open(staging_name, _CREATE_FLAGS, FILE_MODE, dir_fd=self.staging.fd), True

    def _link(self, fd: int, parent: Directory, name: str, staging_name: str) -> bool:
        """Link the file to `name`; if that exists, to `staging` and return False."""
        open_file = f"{_OPEN_FILES}/{fd}"
        try:
            os.link(open_file, name, dst_dir_fd=parent.fd, follow_symlinks=True)
        except FileExistsError:
            os.link(open_file, staging_name, dst_dir_fd=self.staging.fd, follow_symlinks=True)
            return False
        return True


def _write(fd: int, content: Content, owner_id: UUID) -> None:
    """Write the content, read it back to verify it, and set its mtime and attribute."""
    written = 0
    chunk: bytes | memoryview = b""
    for chunk in content.chunks(CHUNK_BYTES):
        _write_all(fd, chunk)
        written += len(chunk)
    if isinstance(chunk, bytes) and written == len(chunk):
        # A single chunk is still in memory. A memoryview would be compared byte by byte: too slow.
        is_same = os.pread(fd, written + 1, 0) == chunk
    else:
        is_same = _sha256(fd, written) == content.sha256
    if not is_same:
        raise StoreBusy("The store returned other bytes than were written.")
    if content.mtime_ns is not None:
        # Some file systems refuse dates that they can't store, and others change them.
        with suppress(OSError, OverflowError):
            os.utime(fd, ns=(content.mtime_ns, content.mtime_ns))
    _set_attribute(fd, content.sha256, owner_id)


def _write_all(fd: int, chunk: bytes | memoryview) -> None:
    written = os.write(fd, chunk)
    while written < len(chunk):
        written += os.write(fd, memoryview(chunk)[written:])


def _sha256(fd: int, size: int) -> str:
    """Read the file back and return its SHA-256, or "" if its size is not `size`."""
    digest, position = hashlib.sha256(), 0
    buffer = thread_buffer(min(CHUNK_BYTES, size + 1))
    while length := os.preadv(fd, [buffer], position):
        digest.update(buffer[:length])
        position += length
        if position >= size and length < len(buffer):
            break
    return digest.hexdigest() if position == size else ""


def _is_old(entry: os.DirEntry[str]) -> bool:
    return time.time() - entry.stat(follow_symlinks=False).st_ctime > MAX_LEFTOVER_AGE_S


def _set_attribute(fd: int, sha256: str, owner_id: UUID) -> None:
    # Some file systems and platforms have no extended attributes.
    if hasattr(os, "setxattr"):
        with suppress(OSError):
            os.setxattr(fd, XATTR_NAME, bytes.fromhex(sha256) + owner_id.bytes)


def _stored_object(fd: int) -> StoredObject | None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return None
    attribute = b""
    if hasattr(os, "getxattr"):
        with suppress(OSError):
            attribute = os.getxattr(fd, XATTR_NAME)
    sha256, owner_id = "", None
    if len(attribute) == XATTR_BYTES:
        sha256, owner_id = attribute[:32].hex(), UUID(bytes=attribute[32:])
    version = f"{owner_id} {status.st_mtime_ns} {status.st_size}"
    return StoredObject(status.st_size, status.st_mtime_ns, sha256, owner_id, version)
