"""A file that changes while it is read gives an error with the reason."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from uploads.transfer import source_file
from uploads.transfer.directories import Directory, DirectoryCache
from uploads.transfer.errors import SourceChanged, TransferCancelled
from uploads.transfer.source_file import SourceFile

LARGE_BYTES = 3_000_000
CHUNK_BYTES = 1024 * 1024


def open_source(path: Path, check: Callable[[], None] = lambda: None) -> SourceFile:
    return SourceFile(DirectoryCache(Directory.open(path.parent)), path.name, check)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(LARGE_BYTES))
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize(
    "size", [0, 1, 4096, source_file.SINGLE_READ_BYTES, CHUNK_BYTES, CHUNK_BYTES + 1, LARGE_BYTES]
)
def test_chunks_yield_all_bytes_each_time_and_compute_the_checksum(
    tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with open_source(tmp_path / "file") as content:
        for _ in range(2):
            assert b"".join(map(bytes, content.chunks(CHUNK_BYTES))) == data
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
    ("change", "message"),
    [
        (rewrite, "It changed while"),
        (rewrite_keeping_the_time, "It changed while"),
        (shrink, "It shrank while"),
        (grow, "It grew while"),
        (replace, "It was replaced while"),
        (Path.unlink, "It was removed while"),
        (become_a_folder, "it is a folder now"),
        (become_a_pipe, "it is a named pipe"),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_change_during_reading_raises_an_error_that_describes_it(
    file: Path, change: Callable[[Path], None], message: str, after: int
) -> None:
    """The change comes before the first chunk, after the first, and after the last."""
    with open_source(file) as content:
        chunks = content.chunks(CHUNK_BYTES)
        for _ in range(after):
            next(chunks)
        change(file)
        with pytest.raises(SourceChanged, match=message):
            list(chunks)


def test_a_small_file_that_grows_before_it_is_read_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    with open_source(tmp_path / "file") as content:
        grow(tmp_path / "file")
        with pytest.raises(SourceChanged, match="It grew while"):
            list(content.chunks(CHUNK_BYTES))


def test_a_recently_written_file_is_opened_only_after_the_mtime_resolution(tmp_path: Path) -> None:
    """A second change within the resolution would leave the same mtime."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with open_source(path):
        assert time.time_ns() - path.stat().st_mtime_ns >= source_file.MTIME_RESOLUTION_NS


def test_a_file_that_is_written_all_the_time_raises_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    monkeypatch.setattr(source_file.time, "sleep", lambda _: path.write_bytes(b"y"))
    with pytest.raises(SourceChanged, match="being written to"):
        open_source(path)


def test_reading_stops_when_the_transfer_is_cancelled(file: Path) -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise TransferCancelled

    with open_source(file, check) as content, pytest.raises(TransferCancelled):
        list(content.chunks(CHUNK_BYTES))
    assert len(calls) == 2


def test_the_file_is_closed_after_reading(file: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with open_source(file) as content:
        list(content.chunks(CHUNK_BYTES))
    del content
    assert len(os.listdir("/proc/self/fd")) == before
