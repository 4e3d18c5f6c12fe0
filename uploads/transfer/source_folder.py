"""Scanning a folder below `UPLOAD_SOURCE_ROOT/<company code>/`.

Only regular files are read. Symbolic links are not followed; pipes, sockets and devices are not
opened: each is an entry to skip, with the reason. A folder that cannot be read, or a name that
cannot be part of a key, is an entry that fails. No path is checked first and used later
(`directories`).
"""

import os
import stat
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from uploads.transfer.directories import Directory
from uploads.transfer.errors import SourceError
from uploads.transfer.globs import GlobFilter
from uploads.transfer.keys import (
    InvalidKey,
    check_key,
    escape_name,
    join,
    key_problem,
    placeholder_key,
)

# Down to this depth a folder is read while its subfolders are. Deeper folders are read completely
# first, which needs only one open file per level instead of two.
MAX_STREAMED_DEPTH = 100
NAMES_PER_PROGRESS_CALL = 1000
INVALID_NAME = "Its name cannot be part of a key."
# The largest object of Amazon S3. A sparse file can claim to be larger than any disk, and the sum
# of a few such sizes would not fit into a counter.
MAX_FILE_TB = 50


class SourceEntry(NamedTuple):
    """A file, or something that cannot be uploaded.

    path: relative, with escaped names (`keys.escape_name`); that of a folder ends with `/`.
    error: why it is not uploaded, or ""; with an error `key` is a unique placeholder, and `size`
        and `mtime_ns` may be 0.
    is_skipped: whether it is no regular file, which is no failure of the session.
    """

    path: str
    key: str
    size: int
    mtime_ns: int
    error: str = ""
    is_skipped: bool = False


def check_directory(text: str) -> str:
    """Return a valid folder path, "" for the company's own; raise `InvalidKey`."""
    directory = text.removesuffix("/")
    return "" if directory in {"", "."} and text != "/" else check_key(directory)


def open_directory(root: str | os.PathLike[str], company_code: str, directory: str) -> Directory:
    """Open `<root>/<company code>/<directory>`; raises `SourceError`."""
    name = directory or "."
    try:
        company = Directory.open(root).open_below(company_code)
        return company.open_below(check_directory(directory))
    except InvalidKey as error:
        raise SourceError(f"The folder name {escape_name(name)} is not valid: {error}") from None
    except FileNotFoundError:
        raise SourceError(f"The folder {name} does not exist in the source folder.") from None
    except PermissionError:
        raise SourceError(f"The folder {name} cannot be read: permission denied.") from None
    except NotADirectoryError:
        raise SourceError(f"{name} is not a folder, or is behind a symbolic link.") from None
    except OSError as error:
        raise SourceError(f"The folder {name} cannot be read: {error.strerror}.") from error


def scan(
    root: Directory,
    globs: GlobFilter,
    *,
    prefix: str = "",
    start: str = "",
    on_progress: Callable[[], None] = lambda: None,
) -> Iterator[SourceEntry]:
    """Yield all entries that match `globs`, in no particular order.

    Entries are not collected: a folder of a million names takes no more memory than one of ten.
    `prefix` is the beginning of all keys, `start` the folder of `root` to scan. `on_progress` is
    called regularly, even if the scan finds nothing for a long time.
    """
    return _Scan(globs, prefix, on_progress).walk(root, start)


class _OpenFolder:
    """A folder that is being read."""

    def __init__(self, directory: Directory, path: str, depth: int) -> None:
        self.directory = directory
        self.path = path
        self.prefix = f"{path}/" if path else ""
        self.entries: Iterator[os.DirEntry[str]] = os.scandir(directory.fd)
        if depth > MAX_STREAMED_DEPTH:
            self.entries = iter(list(self.entries))


class _Scan:
    def __init__(self, globs: GlobFilter, prefix: str, on_progress: Callable[[], None]) -> None:
        self._globs = globs
        self._prefix = prefix
        self._on_progress = on_progress
        # A stack instead of recursion: folders may be nested deeper than Python's recursion limit.
        self._open_folders: list[_OpenFolder] = []

    def walk(self, root: Directory, start: str) -> Iterator[SourceEntry]:
        yield from self._enter(lambda: root.open_below(start), start)
        for step in count(1):
            if not self._open_folders:
                return
            if step % NAMES_PER_PROGRESS_CALL == 0:
                self._on_progress()
            yield from self._read_next(self._open_folders[-1])

    def _read_next(self, folder: _OpenFolder) -> Iterator[SourceEntry]:
        try:
            entry = next(folder.entries, None)
        except OSError as error:
            yield self._unreadable_folder(folder.path, error)
            entry = None
        if entry is None:
            self._open_folders.pop()
            return
        path = folder.prefix + entry.name
        if not _is_folder(entry):
            if self._globs.matches(path):
                yield self._source_entry(entry, path)
        elif self._globs.may_match_in(path):
            yield from self._enter(lambda: folder.directory.open_below(entry.name), path)

    def _enter(self, open_directory: Callable[[], Directory], path: str) -> Iterator[SourceEntry]:
        # A file in a folder with an invalid name has no valid key either.
        problem = key_problem(join(self._prefix, path)) if path else ""
        if problem:
            yield self._invalid_entry(f"{escape_name(path)}/", f"{INVALID_NAME} {problem}")
            return
        try:
            folder = _OpenFolder(open_directory(), path, len(self._open_folders))
            self._open_folders.append(folder)
        except OSError as error:
            yield self._unreadable_folder(path, error)

    def _source_entry(self, entry: os.DirEntry[str], path: str) -> SourceEntry:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            return self._invalid_entry(escape_name(path), file_problem(error))
        if problem := file_type_problem(status.st_mode):
            return self._invalid_entry(escape_name(path), problem)._replace(is_skipped=True)
        if status.st_size > MAX_FILE_TB * 10**12:
            return self._invalid_entry(escape_name(path), f"It has more than {MAX_FILE_TB} TB.")
        key = f"{self._prefix}/{path}" if self._prefix else path
        if problem := key_problem(key):
            return self._invalid_entry(escape_name(path), f"{INVALID_NAME} {problem}", status)
        return SourceEntry(path, key, status.st_size, status.st_mtime_ns)

    def _unreadable_folder(self, path: str, error: OSError) -> SourceEntry:
        return self._invalid_entry(f"{path}/", _folder_problem(error))

    def _invalid_entry(
        self, path: str, error: str, status: os.stat_result | None = None
    ) -> SourceEntry:
        size, mtime_ns = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        return SourceEntry(path, placeholder_key(self._prefix, path), size, mtime_ns, error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether the entry is a folder; if that can't be read, its file error is reported."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _folder_problem(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "The folder cannot be read: permission denied."
    if isinstance(error, FileNotFoundError):
        return "The folder was removed before it was read."
    if isinstance(error, NotADirectoryError):
        return "The folder was replaced by something else before it was read."
    return f"The folder cannot be read: {error.strerror}."


_FILE_TYPE_PROBLEMS = {
    stat.S_IFLNK: "It is a symbolic link; links are not followed.",
    stat.S_IFDIR: "It is a folder now.",
    stat.S_IFIFO: "It is a named pipe, not a regular file.",
    stat.S_IFSOCK: "It is a socket, not a regular file.",
    stat.S_IFCHR: "It is a device, not a regular file.",
    stat.S_IFBLK: "It is a device, not a regular file.",
}


def file_type_problem(mode: int) -> str:
    """Return why a file of this `st_mode` is not read, or "" if it is a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return _FILE_TYPE_PROBLEMS.get(stat.S_IFMT(mode), "It is not a regular file.")


def file_problem(error: OSError) -> str:
    """Return a sentence for an error that occurred while a file was opened or read."""
    if isinstance(error, FileNotFoundError):
        return "It was removed before it was read."
    if isinstance(error, PermissionError):
        return "It cannot be read: permission denied."
    if isinstance(error, NotADirectoryError):
        return "A folder in its path was replaced by something else."
    return f"It cannot be read: {error.strerror}."
