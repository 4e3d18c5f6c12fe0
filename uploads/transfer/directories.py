"""Directories below a root, opened so that no symbolic link leads out of it.

A path that was checked may change before it is used. So each directory is opened relative to the
one above it (`openat` with `O_NOFOLLOW`), and an open directory stays the same even if its path
is renamed or replaced.
"""

import os
import threading
from contextlib import suppress
from typing import Self

_OPEN_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_CACHED_PER_THREAD = 3  # a session has up to fifty threads


class Directory:
    """An open directory; closed with the last reference to it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a directory that the operator configured; follows symbolic links."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def open_below(self, path: str, *, create: bool = False) -> "Directory":
        """Open the directory at a relative path; with `create`, make missing ones."""
        directory = self
        for name in filter(None, path.split("/")):
            directory = Directory(_open_child(directory.fd, name, create=create))
        return directory

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            os.close(self.fd)


def _open_child(parent_fd: int, name: str, *, create: bool) -> int:
    if name in {".", ".."}:
        raise ValueError("A relative path must not contain . or .. segments.")
    try:
        return os.open(name, _OPEN_FLAGS, dir_fd=parent_fd)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, 0o750, dir_fd=parent_fd)
    return os.open(name, _OPEN_FLAGS, dir_fd=parent_fd)


class DirectoryCache(threading.local):
    """The directories below a root that the calling thread opened last, kept open."""

    def __init__(self, root: Directory) -> None:
        self._root = root
        self._cached: dict[str, Directory] = {}

    def get(self, path: str, *, create: bool = False) -> Directory:
        directory = self._cached.get(path)
        if directory is None:
            directory = self._root.open_below(path, create=create)
            if len(self._cached) == MAX_CACHED_PER_THREAD:
                del self._cached[next(iter(self._cached))]
            self._cached[path] = directory
        return directory

    def clear(self) -> None:
        """Drop all cached directories; one of them may have been deleted."""
        self._cached.clear()
