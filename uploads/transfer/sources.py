"""The files of a folder below `UPLOAD_SOURCE_ROOT/<company code>/`: found and opened.

Only regular files are read. A symbolic link, wherever it leads, is not followed, and neither is a
pipe, a socket or a device opened; each is reported as an entry with an error, as is a folder
that can't be read and a name that makes no key. Nothing depends on what was seen a moment before:
see `folders`.
"""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from uploads.transfer.errors import SourceError
from uploads.transfer.folders import FOLDER, Folder
from uploads.transfer.globs import Choice
from uploads.transfer.keys import BadKey, check_key, key_problem, printable

# Above this depth a folder is read while its subfolders are; below it is read first, so that
# not twice as many files have to be open at once.
DEPTH_WITH_TWO_OPEN = 100


class Entry(NamedTuple):
    """What was found. `path` is printable and relative; a folder's ends with `/`.

    With an `error` it can't be uploaded, and `size` and `mtime_ns` may be 0.
    """

    path: str
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


def scan(root: Folder, choice: Choice, *, below: str = "") -> Iterator[Entry]:
    """All that `choice` takes, in no particular order, one after the other.

    Nothing is collected: a folder of a million names takes no more memory than one of ten.
    `below` is a folder of `root` to begin with.
    """
    try:
        start = root.below(below)
    except OSError as error:
        yield _closed(below, error)
        return
    # A stack instead of recursion: folders may be nested more deeply than calls.
    levels = [_Level(start, below)]
    while levels:
        level = levels[-1]
        try:
            entry = next(level.entries, None)
        except OSError as error:
            yield _closed(level.path, error)
            entry = None
        if entry is None:
            levels.pop()
            continue
        path = level.prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if not choice.enters(path):
                continue
            try:
                levels.append(_open_level(level, entry.name, path, len(levels)))
            except (OSError, SourceError) as error:
                yield _closed(path, error)
        elif choice.takes(path):
            yield _entry(entry, path)


class _Level:
    """A folder that is being read."""

    def __init__(self, folder: Folder, path: str, depth: int = 0) -> None:
        self.folder = folder
        self.path = path
        self.prefix = f"{path}/" if path else ""
        self.entries: Iterator[os.DirEntry[str]] = os.scandir(folder.fd)
        if depth > DEPTH_WITH_TWO_OPEN:
            self.entries = iter(list(self.entries))


def _open_level(parent: _Level, name: str, path: str, depth: int) -> _Level:
    # All that is in it would have the same problem, and its own.
    if problem := key_problem(path):
        raise SourceError(f"Its name makes no key. {problem}")
    return _Level(Folder(os.open(name, FOLDER, dir_fd=parent.folder.fd)), path, depth)


def _closed(path: str, error: Exception) -> Entry:
    problem = str(error) if isinstance(error, SourceError) else _folder_problem(error)
    return Entry(f"{printable(path)}/" if path else "./", 0, 0, problem)


def _folder_problem(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "The folder can't be read: permission denied."
    if isinstance(error, FileNotFoundError):
        return "The folder vanished before it was read."
    if isinstance(error, NotADirectoryError):
        return "The folder became something else before it was read."
    return f"The folder can't be read: {getattr(error, 'strerror', error)}."


def _entry(entry: os.DirEntry[str], path: str) -> Entry:
    try:
        known = entry.stat(follow_symlinks=False)
    except OSError as error:
        return Entry(printable(path), 0, 0, file_problem(error))
    problem = key_problem(path)
    if problem:
        return Entry(
            printable(path), known.st_size, known.st_mtime_ns, f"Its name makes no key. {problem}"
        )
    return Entry(path, known.st_size, known.st_mtime_ns, kind_problem(known.st_mode))


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
