"""The long forms of what the suite tests shortly: `make chaos` runs them and prints figures."""

import os
import shutil
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from accounts.models import User
from common.tests.support import Worker, eventually
from uploads.models import Cycle, Session
from uploads.tests.factories import SessionFactory
from uploads.tests.worker_kills import ENDED, finish_through_kills, leftovers
from uploads.tests.test_session_job_killed import broker, folder, worker
from uploads.tests.file_trees import contents, grow
from uploads.transfer import source_folder
from uploads.transfer.directories import Directory
from uploads.transfer.globs import GlobFilter

__all__ = ["broker", "folder", "worker"]

pytestmark = pytest.mark.django_db(transaction=True)

MB = 1024 * 1024


@pytest.fixture
def make(cycle: Cycle, owner: User) -> Callable[..., Session]:
    return lambda **fields: SessionFactory(cycle=cycle, user=owner, **fields)


@pytest.fixture
def source(folder: Path) -> Iterator[Path]:
    path = folder / "sources" / "acme" / "day-1"
    path.mkdir(parents=True)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def target(folder: Path) -> Path:
    return folder / "uploads" / "acme" / "field-data"


def finish(session: Session, *, within: float) -> Session:
    session.start()

    def has_ended() -> bool:
        session.refresh_from_db()
        return session.status in ENDED

    eventually(has_ended, "the session is over", within=within)
    return session


@contextmanager
def largest_memory(worker: Worker) -> Iterator[list[int]]:
    """The bytes (RSS) of the worker's process: before, and at most."""
    [child] = worker.children
    memory, stop = [child.memory_info().rss] * 2, threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            memory[1] = max(memory[1], child.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        stop.set()
        watcher.join()


@pytest.mark.parametrize(("files", "largest"), [(300, 1_000_000), (5000, 5000)])
def test_twenty_kills(
    worker: Worker,
    folder: Path,
    source: Path,
    target: Path,
    make: Callable[..., Session],
    files: int,
    largest: int,
) -> None:
    """Of so many small files most are copied by helpers."""
    grow(source, files, largest=largest)
    kills = sessions = 0
    while kills < 20:
        session = make(prefix=f"{files}-{sessions}", max_workers=4)
        kills += finish_through_kills(
            session, worker, source, target / session.prefix, at_most=20 - kills, within=0.4
        )
        sessions += 1
        assert leftovers(folder / "uploads") == []
    print(f"\n{kills} kills in {sessions} sessions of {files} files, none lost, none sent twice")


def test_a_large_file_in_bounded_memory(
    worker: Worker, source: Path, target: Path, make: Callable[..., Session]
) -> None:
    with (source / "sparse").open("wb") as file:
        file.truncate(2048 * MB)
    finish(make(prefix="warm", include=["none"]), within=60)
    with largest_memory(worker) as memory:
        session = finish(make(prefix="large"), within=300)
    assert (session.status, session.bytes_uploaded) == ("completed", 2048 * MB)
    assert (target / "large" / "sparse").stat().st_size == 2048 * MB
    grown = (memory[1] - memory[0]) / MB
    print(f"\n2 GB: the worker has {memory[0] / MB:.0f} MB idle and {grown:.1f} MB more at most")
    assert grown < 200


def test_a_real_tree_byte_for_byte(
    worker: Worker, source: Path, target: Path, make: Callable[..., Session]
) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    source.rmdir()
    shutil.copytree(packages, source, symlinks=False)
    session = finish(make(prefix="tree", verify="checksum"), within=300)
    known = contents(source)
    assert (session.status, session.error, session.files_uploaded) == ("completed", "", len(known))
    assert contents(target / "tree") == known
    again = finish(make(prefix="tree", verify="checksum"), within=300)
    assert (again.files_skipped, again.files_uploaded) == (len(known), 0)
    print(f"\n{len(known)} files, {session.total_size_bytes / MB:.0f} MB: the same byte for byte")


def test_a_million_names_in_bounded_memory(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"d{number}").mkdir()
        parent = os.open(tmp_path / f"d{number}", os.O_RDONLY)
        for name in range(10_000):
            os.close(os.open(f"reading-{name}", os.O_CREAT | os.O_WRONLY, dir_fd=parent))
        os.close(parent)
    process, start = psutil.Process(), time.perf_counter()
    before = most = process.memory_info().rss
    for found, _ in enumerate(source_folder.scan(Directory.open(tmp_path), GlobFilter(["*"], ["*.bak"])), 1):
        if found % 10_000 == 0:
            most = max(most, process.memory_info().rss)
    assert found == 1_000_000
    grown, seconds = (most - before) / MB, time.perf_counter() - start
    print(f"\n1,000,000 names in {seconds:.1f} s with {grown:.1f} MB more")
    assert grown < 20
