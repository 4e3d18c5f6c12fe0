"""Scanning and opening source folders, which must never lead outside of them."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from uploads.transfer import source_folder
from uploads.transfer.directories import Directory, DirectoryCache
from uploads.transfer.errors import SourceError
from uploads.transfer.globs import GlobFilter
from uploads.transfer.source_file import SourceFile


def scan(folder: Path, **options: object) -> dict[str, str]:
    """Return the error of each entry by its path."""
    entries = list(source_folder.scan(Directory.open(folder), GlobFilter(), **options))
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.path: entry.error for entry in entries}


def skipped(folder: Path) -> set[str]:
    """Return the paths of the entries that are no regular files."""
    entries = source_folder.scan(Directory.open(folder), GlobFilter())
    return {entry.path for entry in entries if entry.is_skipped}


def open_error(directory: Directory, path: str) -> str:
    with pytest.raises(SourceError) as caught:
        SourceFile(DirectoryCache(directory), path, lambda: None)
    return str(caught.value)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Drop root's privileges, since root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_entries_have_key_size_and_mtime(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "é 1.csv").write_text("four")
    os.utime(tmp_path / "x" / "é 1.csv", ns=(1, 1_700_000_000_123_456_789))
    assert list(source_folder.scan(Directory.open(tmp_path), GlobFilter(), prefix="p/q")) == [
        source_folder.SourceEntry("x/é 1.csv", "p/q/x/é 1.csv", 4, 1_700_000_000_123_456_789)
    ]


def test_links_pipes_and_sockets_are_reported_but_not_followed_or_opened(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "inside").write_text("fine")
    for name, target in {
        "out": "../outside/secret",
        "out-folder": "../outside",
        "loop": ".",
        "itself": "itself",
        "nowhere": "nowhere else",
        "absolute": "/etc/passwd",
        "in": "inside",
    }.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        found = scan(folder)
        assert {path for path, error in found.items() if not error} == {"inside"}
        messages = {path: error.split(";")[0] for path, error in found.items() if error}
        link = "It is a symbolic link"
        links = dict.fromkeys(
            ["out", "out-folder", "loop", "itself", "nowhere", "absolute", "in"], link
        )
        assert messages == links | {
            "pipe": "It is a named pipe, not a regular file.",
            "socket": "It is a socket, not a regular file.",
        }
        assert skipped(folder) == set(messages)
        root = Directory.open(folder)
        assert "symbolic link" in open_error(root, "out")
        assert "replaced by something else" in open_error(root, "out-folder/secret")
        assert "named pipe" in open_error(root, "pipe")
        assert "socket" in open_error(root, "socket")
    assert open_error(root, "gone") == "It was removed before it was read."


def test_a_device_is_reported() -> None:
    folder = Directory.open("/dev")
    assert open_error(folder, "null") == "It is a device, not a regular file."


def test_names_that_cannot_be_part_of_a_key_are_reported_in_one_line(tmp_path: Path) -> None:
    for name in (b"no-\xff-utf8", b"two\nlines", b"back\\slash", b"esc\x1b[31m", b"fine"):
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_text("x")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xfe"))
    folder.mkdir()
    (folder / "below").write_text("x")
    found = scan(tmp_path)
    assert {
        path: error.removeprefix(f"{source_folder.INVALID_NAME} ") for path, error in found.items()
    } == {
        "fine": "",
        r"no-\xff-utf8": "It is not valid UTF-8.",
        r"two\u000alines": "It contains a line break.",
        r"back\\slash": "It contains a backslash.",
        r"esc\u001b[31m": "It contains a control character.",
        r"bad\xfe/": "It is not valid UTF-8.",
    }


def test_a_key_that_is_too_long_with_its_prefix_is_reported(tmp_path: Path) -> None:
    (tmp_path / ("a" * 200)).write_text("x")
    assert scan(tmp_path, prefix="/".join(["p" * 200] * 4)) == {"a" * 200: ""}
    [error] = scan(tmp_path, prefix="/".join(["p" * 200] * 5)).values()
    assert "more than 1024 bytes" in error


def test_unreadable_folders_and_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("x")
    (tmp_path / "shut").write_text("x")
    (tmp_path / "shut-folder").mkdir(mode=0)
    (tmp_path / "shut").chmod(0)
    tmp_path.chmod(0o755)
    folder = Directory.open(tmp_path)
    with unprivileged():
        entries = list(source_folder.scan(folder, GlobFilter()))
        error = open_error(folder, "shut")
    assert not any(entry.is_skipped for entry in entries)
    assert {entry.path: entry.error for entry in entries} == {
        "open": "",
        "shut": "",
        "shut-folder/": "The folder cannot be read: permission denied.",
    }
    assert error == "It cannot be read: permission denied."
    assert scan(tmp_path, start="shut-folder") == {}


def test_deep_folders_are_scanned(tmp_path: Path) -> None:
    folder = Directory.open(tmp_path)
    deep = "/".join(["d"] * 450)
    below = folder.open_below(deep, create=True)
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=below.fd))
    folder.open_below(f"{deep}/{'/'.join(['e'] * 100)}", create=True)
    found = {entry.path: entry.error for entry in source_folder.scan(folder, GlobFilter())}
    assert found[f"{deep}/end"] == ""
    [(path, error)] = [entry for entry in found.items() if entry[1]]
    assert path.startswith(f"{deep}/e/e")
    assert "1024 bytes" in error


def test_a_folder_replaced_by_a_link_during_the_scan_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("secret")
    folder = tmp_path / "folder"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("mine")
    entries = source_folder.scan(Directory.open(folder), GlobFilter())
    first = next(entries).path.partition("/")[0]
    other = "b" if first == "a" else "a"
    (folder / other).rename(folder / "moved")
    (folder / other).symlink_to(tmp_path / "outside")
    found = list(entries)
    assert "" not in {entry.error for entry in found if entry.path.startswith(other)}
    assert "something else" in open_error(Directory.open(folder), f"{other}/file")


def test_a_directory_cache_keeps_few_directories_open(tmp_path: Path) -> None:
    directories = DirectoryCache(Directory.open(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(100):
        directories.get(f"f{number}/g", create=True)
    assert len(os.listdir("/proc/self/fd")) - before < 10
    directories.clear()
    assert len(os.listdir("/proc/self/fd")) == before


class TestDirectory:
    @pytest.mark.parametrize("bad", ["..", "../x", "/etc", "a/../..", "a\0", "a\nb", "/", "a//b"])
    def test_a_path_outside_the_companys_folder_is_rejected(self, tmp_path: Path, bad: str) -> None:
        (tmp_path / "acme").mkdir()
        with pytest.raises(SourceError, match="is not valid"):
            source_folder.open_directory(tmp_path, "acme", bad)

    def test_links_files_and_missing_paths_are_rejected(self, tmp_path: Path) -> None:
        (tmp_path / "acme").mkdir()
        (tmp_path / "rival").mkdir()
        (tmp_path / "acme" / "link").symlink_to(tmp_path / "rival")
        (tmp_path / "acme" / "file").write_text("x")
        for name, message in {
            "link": "link",
            "file": "not a folder",
            "none": "does not exist",
        }.items():
            with pytest.raises(SourceError, match=message):
                source_folder.open_directory(tmp_path, "acme", name)

    @pytest.mark.parametrize("path", ["", ".", "day", "day/", "day/1"])
    def test_paths_in_the_companys_folder_are_opened(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "acme" / "day" / "1").mkdir(parents=True)
        assert source_folder.open_directory(tmp_path, "acme", path).fd > 0
