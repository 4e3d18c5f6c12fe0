"""Long versions of tests of the suite, run by `make chaos`; print measurements."""

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
from uploads.tests.chaos_killed_session import worker
from uploads.tests.factories import SessionFactory
from uploads.tests.file_trees import checksums, write_files
from uploads.tests.worker_kills import ENDED, run_with_kills, staged_files
from uploads.transfer import source_folder
from uploads.transfer.directories import Directory
from uploads.transfer.globs import GlobFilter

__all__ = ["worker"]

pytestmark = pytest.mark.django_db(transaction=True)

MB = 1024 * 1024


@pytest.fixture
def create(cycle: Cycle, owner: User) -> Callable[..., Session]:
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


def run_to_end(session: Session, *, timeout_s: float) -> Session:
    session.start()

    def has_ended() -> bool:
        session.refresh_from_db()
        return session.status in ENDED

    eventually(has_ended, "the session has ended", within=timeout_s)
    return session


@contextmanager
def memory_use(worker: Worker) -> Iterator[list[int]]:
    """Measure the resident memory of the worker in bytes: first, and maximum."""
    [child] = worker.children
    memory, stopped = [child.memory_info().rss] * 2, threading.Event()

    def watch() -> None:
        while not stopped.wait(0.02):
            memory[1] = max(memory[1], child.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        stopped.set()
        watcher.join()


@pytest.mark.parametrize(("files", "max_bytes"), [(300, 1_000_000), (5000, 5000)])
def test_a_session_survives_twenty_kills(
    worker: Worker,
    folder: Path,
    source: Path,
    target: Path,
    create: Callable[..., Session],
    files: int,
    max_bytes: int,
) -> None:
    """Of 5,000 small files most are copied by copy workers, of 300 large ones none."""
    write_files(source, files, max_bytes=max_bytes)
    kills = sessions = 0
    while kills < 20:
        session = create(prefix=f"{files}-{sessions}", max_workers=4)
        kills += run_with_kills(
            session,
            worker,
            source,
            target / session.prefix,
            max_kills=20 - kills,
            max_delay_s=0.4,
        )
        sessions += 1
        assert staged_files(folder / "uploads") == []
    print(f"\n{kills} kills in {sessions} sessions of {files} files, no file lost or copied twice")


def test_a_large_file_needs_little_memory(
    worker: Worker, source: Path, target: Path, create: Callable[..., Session]
) -> None:
    with (source / "sparse").open("wb") as file:
        file.truncate(2048 * MB)
    run_to_end(create(prefix="warm", include=["none"]), timeout_s=60)
    with memory_use(worker) as memory:
        session = run_to_end(create(prefix="large"), timeout_s=300)
    assert (session.status, session.bytes_uploaded) == ("completed", 2048 * MB)
    assert (target / "large" / "sparse").stat().st_size == 2048 * MB
    growth = (memory[1] - memory[0]) / MB
    print(f"\n2 GB: the worker has {memory[0] / MB:.0f} MB idle and at most {growth:.1f} MB more")
    assert growth < 200


def test_a_real_tree_is_copied_byte_for_byte(
    worker: Worker, source: Path, target: Path, create: Callable[..., Session]
) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    source.rmdir()
    shutil.copytree(packages, source, symlinks=False)
    session = run_to_end(create(prefix="tree", verify="checksum"), timeout_s=300)
    expected = checksums(source)
    assert (session.status, session.error, session.files_uploaded) == (
        "completed",
        "",
        len(expected),
    )
    assert checksums(target / "tree") == expected
    again = run_to_end(create(prefix="tree", verify="checksum"), timeout_s=300)
    assert (again.files_skipped, again.files_uploaded) == (len(expected), 0)
    print(f"\n{len(expected)} files, {session.total_size_bytes / MB:.0f} MB: copied byte for byte")


def test_a_scan_of_a_million_names_needs_little_memory(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"d{number}").mkdir()
        parent = os.open(tmp_path / f"d{number}", os.O_RDONLY)
        for name in range(10_000):
            os.close(os.open(f"reading-{name}", os.O_CREAT | os.O_WRONLY, dir_fd=parent))
        os.close(parent)
    process, start = psutil.Process(), time.perf_counter()
    before = maximum = process.memory_info().rss
    for found, _ in enumerate(
        source_folder.scan(Directory.open(tmp_path), GlobFilter(["*"], ["*.bak"])), 1
    ):
        if found % 10_000 == 0:
            maximum = max(maximum, process.memory_info().rss)
    assert found == 1_000_000
    growth, seconds = (maximum - before) / MB, time.perf_counter() - start
    print(f"\n1,000,000 names in {seconds:.1f} s with {growth:.1f} MB more")
    assert growth < 20
