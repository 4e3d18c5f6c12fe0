"""What is found below a folder, and that nothing else ever is."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from uploads.transfer import source_folder
from uploads.transfer.errors import SourceError
from uploads.transfer.directories import Directory, DirectoryCache
from uploads.transfer.globs import GlobFilter
from uploads.transfer.source_file import SourceFile


def scan(folder: Path, **options: object) -> dict[str, str]:
    """The error of each entry, by its path."""
    found = list(source_folder.scan(Directory.open(folder), GlobFilter(), **options))
    assert len({entry.key for entry in found}) == len(found)
    return {entry.path: entry.error for entry in found}


def error_of(folder: Directory, path: str) -> str:
    with pytest.raises(SourceError) as refused:
        SourceFile(DirectoryCache(folder), path, lambda: None)
    return str(refused.value)


@contextmanager
def nobody() -> Iterator[None]:
    """Root reads everything, so it becomes somebody else."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_entries_have_their_key_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "é 1.csv").write_text("four")
    os.utime(tmp_path / "x" / "é 1.csv", ns=(1, 1_700_000_000_123_456_789))
    assert list(source_folder.scan(Directory.open(tmp_path), GlobFilter(), prefix="p/q")) == [
        source_folder.SourceEntry("x/é 1.csv", "p/q/x/é 1.csv", 4, 1_700_000_000_123_456_789)
    ]


def test_what_is_no_file_is_reported_and_neither_followed_nor_opened(tmp_path: Path) -> None:
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
        words = {path: error.split(",")[0] for path, error in found.items() if error}
        link = "It is a symbolic link"
        links = dict.fromkeys(
            ["out", "out-folder", "loop", "itself", "nowhere", "absolute", "in"], link
        )
        assert words == links | {
            "pipe": "It is a named pipe and no file.",
            "socket": "It is a socket and no file.",
        }
        root = Directory.open(folder)
        assert "symbolic link" in error_of(root, "out")
        assert "became something else" in error_of(root, "out-folder/secret")
        assert "named pipe" in error_of(root, "pipe")
        assert "socket" in error_of(root, "socket")
    assert error_of(root, "gone") == "It vanished before it was read."


def test_a_device_is_reported() -> None:
    folder = Directory.open("/dev")
    assert error_of(folder, "null") == "It is a device and no file."


def test_names_that_make_no_key_are_reported_in_one_line(tmp_path: Path) -> None:
    for name in (b"no-\xff-utf8", b"two\nlines", b"back\\slash", b"esc\x1b[31m", b"fine"):
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_text("x")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xfe"))
    folder.mkdir()
    (folder / "below").write_text("x")
    found = scan(tmp_path)
    assert {
        path: error.removeprefix("Its name makes no key. ") for path, error in found.items()
    } == {
        "fine": "",
        r"no-\xff-utf8": "It is no valid UTF-8.",
        r"two\u000alines": "It holds a line break.",
        r"back\\slash": "It holds a backslash.",
        r"esc\u001b[31m": "It holds a control character.",
        r"bad\xfe/": "It is no valid UTF-8.",
    }


def test_a_key_that_gets_too_long_with_its_prefix_is_reported(tmp_path: Path) -> None:
    (tmp_path / ("a" * 200)).write_text("x")
    assert scan(tmp_path, prefix="/".join(["p" * 200] * 4)) == {"a" * 200: ""}
    [error] = scan(tmp_path, prefix="/".join(["p" * 200] * 5)).values()
    assert "more than 1024 bytes" in error


def test_what_may_not_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("x")
    (tmp_path / "shut").write_text("x")
    (tmp_path / "shut-folder").mkdir(mode=0)
    (tmp_path / "shut").chmod(0)
    tmp_path.chmod(0o755)
    folder = Directory.open(tmp_path)
    with nobody():
        found = {entry.path: entry.error for entry in source_folder.scan(folder, GlobFilter())}
        refused = error_of(folder, "shut")
    assert found == {
        "open": "",
        "shut": "",
        "shut-folder/": "The folder can't be read: permission denied.",
    }
    assert refused == "It can't be read: permission denied."
    assert scan(tmp_path, below="shut-folder") == {}


def test_deep_and_wide_trees(tmp_path: Path) -> None:
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


def test_a_folder_that_becomes_a_link_after_it_was_seen_leads_nowhere(tmp_path: Path) -> None:
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
    assert "something else" in error_of(Directory.open(folder), f"{other}/file")


def test_a_thread_keeps_few_folders_open(tmp_path: Path) -> None:
    folders = DirectoryCache(Directory.open(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(100):
        folders.folder(f"f{number}/g", create=True)
    assert len(os.listdir("/proc/self/fd")) - before < 10
    folders.forget()
    assert len(os.listdir("/proc/self/fd")) == before


class TestDirectory:
    @pytest.mark.parametrize("bad", ["..", "../x", "/etc", "a/../..", "a\0", "a\nb", "/", "a//b"])
    def test_none_outside_can_be_named(self, tmp_path: Path, bad: str) -> None:
        (tmp_path / "acme").mkdir()
        with pytest.raises(SourceError, match="can't be named"):
            source_folder.open_directory(tmp_path, "acme", bad)

    def test_neither_a_link_nor_a_file_nor_nothing_is_one(self, tmp_path: Path) -> None:
        (tmp_path / "acme").mkdir()
        (tmp_path / "rival").mkdir()
        (tmp_path / "acme" / "link").symlink_to(tmp_path / "rival")
        (tmp_path / "acme" / "file").write_text("x")
        for name, word in {"link": "link", "file": "no folder", "none": "does not exist"}.items():
            with pytest.raises(SourceError, match=word):
                source_folder.open_directory(tmp_path, "acme", name)

    @pytest.mark.parametrize("own", ["", ".", "day", "day/", "day/1"])
    def test_the_companys_own_can(self, tmp_path: Path, own: str) -> None:
        (tmp_path / "acme" / "day" / "1").mkdir(parents=True)
        assert source_folder.open_directory(tmp_path, "acme", own).fd > 0
