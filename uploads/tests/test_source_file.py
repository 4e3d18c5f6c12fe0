"""A file that does not stay as it is while it is read is a named error, and never an object."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from uploads.transfer import source_file
from uploads.transfer.errors import SourceChanged, TransferCancelled
from uploads.transfer.directories import Directory, DirectoryCache
from uploads.transfer.source_file import SourceFile

LARGE = 3_000_000
CHUNK = 1024 * 1024


def opened(path: Path, check: Callable[[], None] = lambda: None) -> SourceFile:
    return SourceFile(DirectoryCache(Directory.open(path.parent)), path.name, check)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(LARGE))
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize("size", [0, 1, 4096, source_file.SINGLE_READ_BYTES, CHUNK, CHUNK + 1, LARGE])
def test_all_bytes_come_with_their_sum_as_often_as_they_are_asked(
    tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with opened(tmp_path / "file") as content:
        for _ in range(2):
            assert b"".join(map(bytes, content.chunks(CHUNK))) == data
            assert content.sha256 == hashlib.sha256(data).hexdigest()
        assert (content.size, content.compute_sha256()) == (size, content.sha256)


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


def rewrite_keeping_the_time(path: Path) -> None:
    rewrite(path)
    os.utime(path, (1, 1))


def shrink(path: Path) -> None:
    os.truncate(path, 10)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"other")
    other.rename(path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rewrite, "It changed while"),
        (rewrite_keeping_the_time, "It changed while"),
        (shrink, "It shrank while"),
        (grow, "It grew while"),
        (replace, "It was replaced while"),
        (Path.unlink, "It vanished while"),
        (become_a_folder, "it is a folder now"),
        (become_a_pipe, "it is a named pipe"),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_happens_meanwhile_is_named(
    file: Path, change: Callable[[Path], None], words: str, after: int
) -> None:
    """Before the first chunk, after one, and after the last."""
    with opened(file) as content:
        chunks = content.chunks(CHUNK)
        for _ in range(after):
            next(chunks)
        change(file)
        with pytest.raises(SourceChanged, match=words):
            list(chunks)


def test_a_small_file_that_grows_before_it_is_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    with opened(tmp_path / "file") as content:
        grow(tmp_path / "file")
        with pytest.raises(SourceChanged, match="It grew while"):
            list(content.chunks(CHUNK))


def test_a_file_that_was_just_written_is_let_come_to_rest(tmp_path: Path) -> None:
    """A second change in the same tick of the kernel's clock would bear the same time."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with opened(path):
        assert time.time_ns() - path.stat().st_mtime_ns >= source_file.MTIME_RESOLUTION_NS


def test_a_file_that_never_comes_to_rest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    monkeypatch.setattr(source_file.time, "sleep", lambda _: path.write_bytes(b"y"))
    with pytest.raises(SourceChanged, match="being written to"):
        opened(path)


def test_reading_ends_when_it_is_to_stop(file: Path) -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise TransferCancelled

    with opened(file, check) as content, pytest.raises(TransferCancelled):
        list(content.chunks(CHUNK))
    assert len(calls) == 2


def test_no_file_stays_open(file: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with opened(file) as content:
        list(content.chunks(CHUNK))
    del content
    assert len(os.listdir("/proc/self/fd")) == before
