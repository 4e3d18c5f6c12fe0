"""Folders below one root, reached segment by segment, so that no link leads elsewhere.

A path that was checked may be another a moment later. Here nothing is checked and then used: each
folder is opened below the one before it (`openat` with `O_NOFOLLOW`), and what is opened stays
what it is, whoever renames or replaces it.
"""

import os
import threading
from contextlib import suppress
from typing import Self

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
KEPT = 6  # opened folders for each thread


class Folder:
    """An open folder; closed with the last reference to it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Self:
        """A folder that the operator names; links in its path are the operator's own."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def below(self, path: str, *, make: bool = False) -> "Folder":
        """The folder at a relative path, made where it is missing if `make`; OSError."""
        folder = self
        for name in filter(None, path.split("/")):
            folder = Folder(_step(folder.fd, name, make=make))
        return folder

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            os.close(self.fd)


def _step(parent: int, name: str, *, make: bool) -> int:
    if name in {".", ".."}:
        raise ValueError("A path below a folder does not lead out of it.")
    try:
        return os.open(name, FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, 0o750, dir_fd=parent)
    return os.open(name, FOLDER, dir_fd=parent)


class Folders(threading.local):
    """The folders below a root that a thread used last, still open."""

    def __init__(self, root: Folder, *, make: bool = False) -> None:
        self._root = root
        self._make = make
        self._kept: dict[str, Folder] = {}

    def folder(self, path: str) -> Folder:
        known = self._kept.get(path)
        if known is None:
            known = self._root.below(path, make=self._make)
            if len(self._kept) == KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[path] = known
        return known

    def forget(self) -> None:
        """Open them anew from now on: one of them may be gone."""
        self._kept.clear()
