"""The files of a folder below `UPLOAD_SOURCE_ROOT/<company code>/`: found and opened.

Only regular files are read. A symbolic link, wherever it leads, is not followed, and neither is a
pipe, a socket or a device opened; each is reported as an entry with an error, as is a folder
that can't be read and a name that makes no key. Nothing depends on what was seen a moment before:
see `folders`.
"""

import os
import stat
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from uploads.transfer.errors import SourceError
from uploads.transfer.folders import Folder
from uploads.transfer.globs import Choice
from uploads.transfer.keys import BadKey, check_key, join, key_problem, printable, stand_in

# Above this depth a folder is read while its subfolders are; below it is read first, so that
# not twice as many files have to be open at once.
DEPTH_WITH_TWO_OPEN = 100
STEP = 1000  # names
NO_KEY = "Its name makes no key."


class Entry(NamedTuple):
    """What was found. `path` is printable and relative; a folder's ends with `/`.

    With an `error` it can't be uploaded; then `key` only names it, and `size` and `mtime_ns` may
    be 0.
    """

    path: str
    key: str
    size: int
    mtime_ns: int
    error: str = ""


def check_directory(text: str) -> str:
    """A folder as a session names it, below the company's own; `BadKey`. "" and "." are that."""
    directory = text.removesuffix("/")
    return "" if directory in {"", "."} and text != "/" else check_key(directory)


def open_directory(root: str | os.PathLike[str], company_code: str, directory: str) -> Folder:
    """The folder `<root>/<company code>/<directory>`; `SourceError`."""
    shown = directory or "."
    try:
        return Folder.at(root).below(company_code).below(check_directory(directory))
    except BadKey as error:
        raise SourceError(f"The folder {printable(shown)} can't be named: {error}") from None
    except FileNotFoundError:
        raise SourceError(f"The folder {shown} does not exist in the source folder.") from None
    except PermissionError:
        raise SourceError(f"The folder {shown} can't be read.") from None
    except NotADirectoryError:
        raise SourceError(f"The folder {shown} is no folder, or lies behind a link.") from None
    except OSError as error:
        raise SourceError(f"The folder {shown} can't be read: {error.strerror}.") from error


def scan(
    root: Folder,
    choice: Choice,
    *,
    prefix: str = "",
    below: str = "",
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[Entry]:
    """All that `choice` takes, in no particular order, one after the other.

    Nothing is collected: a folder of a million names takes no more memory than one of ten.
    `prefix` is what keys begin with, `below` a folder of `root` to begin at. `on_step` is called
    now and then, so that somebody hears of a scan that takes long and finds nothing.
    """
    return _Scan(choice, prefix, on_step).walk(root, below)


class _Level:
    """A folder that is being read."""

    def __init__(self, folder: Folder, path: str, depth: int) -> None:
        self.folder = folder
        self.path = path
        self.prefix = f"{path}/" if path else ""
        self.entries: Iterator[os.DirEntry[str]] = os.scandir(folder.fd)
        if depth > DEPTH_WITH_TWO_OPEN:
            self.entries = iter(list(self.entries))


class _Scan:
    def __init__(self, choice: Choice, prefix: str, on_step: Callable[[], None]) -> None:
        self._choice = choice
        self._prefix = prefix
        self._on_step = on_step
        # A stack instead of recursion: folders may be nested more deeply than calls.
        self._levels: list[_Level] = []

    def walk(self, root: Folder, below: str) -> Iterator[Entry]:
        yield from self._enter(lambda: root.below(below), below)
        for step in count(1):
            if not self._levels:
                return
            if step % STEP == 0:
                self._on_step()
            yield from self._step(self._levels[-1])

    def _step(self, level: _Level) -> Iterator[Entry]:
        try:
            entry = next(level.entries, None)
        except OSError as error:
            yield self._closed(level.path, error)
            entry = None
        if entry is None:
            self._levels.pop()
            return
        path = level.prefix + entry.name
        if not entry.is_dir(follow_symlinks=False):
            if self._choice.takes(path):
                yield self._found(entry, path)
        elif self._choice.enters(path):
            yield from self._enter(lambda: level.folder.below(entry.name), path)

    def _enter(self, open_folder: Callable[[], Folder], path: str) -> Iterator[Entry]:
        # What is in a folder whose name makes no key has no key either.
        problem = key_problem(join(self._prefix, path)) if path else ""
        if problem:
            yield self._unfit(f"{printable(path)}/", f"{NO_KEY} {problem}")
            return
        try:
            self._levels.append(_Level(open_folder(), path, len(self._levels)))
        except OSError as error:
            yield self._closed(path, error)

    def _found(self, entry: os.DirEntry[str], path: str) -> Entry:
        try:
            known = entry.stat(follow_symlinks=False)
        except OSError as error:
            return self._unfit(printable(path), file_problem(error))
        key = f"{self._prefix}/{path}" if self._prefix else path
        if problem := key_problem(key):
            return self._unfit(printable(path), f"{NO_KEY} {problem}", known)
        if problem := kind_problem(known.st_mode):
            return self._unfit(path, problem)
        return Entry(path, key, known.st_size, known.st_mtime_ns)

    def _closed(self, path: str, error: OSError) -> Entry:
        return self._unfit(f"{path}/", _folder_problem(error))

    def _unfit(self, path: str, error: str, known: os.stat_result | None = None) -> Entry:
        size, mtime_ns = (known.st_size, known.st_mtime_ns) if known else (0, 0)
        return Entry(path, stand_in(self._prefix, path), size, mtime_ns, error)


def _folder_problem(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "The folder can't be read: permission denied."
    if isinstance(error, FileNotFoundError):
        return "The folder vanished before it was read."
    if isinstance(error, NotADirectoryError):
        return "The folder became something else before it was read."
    return f"The folder can't be read: {error.strerror}."


_KINDS = {
    stat.S_IFLNK: "It is a symbolic link, and those are not followed.",
    stat.S_IFDIR: "It is a folder now.",
    stat.S_IFIFO: "It is a named pipe and no file.",
    stat.S_IFSOCK: "It is a socket and no file.",
    stat.S_IFCHR: "It is a device and no file.",
    stat.S_IFBLK: "It is a device and no file.",
}


def kind_problem(mode: int) -> str:
    """Why something of this `st_mode` is not read; "" where it is a regular file."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "It is no regular file.")


def file_problem(error: OSError) -> str:
    """What an error means that came while a file was opened or read."""
    if isinstance(error, FileNotFoundError):
        return "It vanished before it was read."
    if isinstance(error, PermissionError):
        return "It can't be read: permission denied."
    if isinstance(error, NotADirectoryError):
        return "A folder that it was in became something else."
    return f"It can't be read: {error.strerror}."
