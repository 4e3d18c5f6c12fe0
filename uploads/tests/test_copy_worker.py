"""Processes that copy many small files, and what happens when they die."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from uploads.tests.file_trees import checksums, inodes, write_files
from uploads.transfer.cancellation import CancellationToken
from uploads.transfer.copy_pool import CopyPool, CopyTask, FinishedTask
from uploads.transfer.copy_worker import CopyWorker, CopyWorkerDied
from uploads.transfer.directories import Directory
from uploads.transfer.file_copier import CopyOptions, CopyResult, CopyStatus, FileCopier
from uploads.transfer.object_folder import ObjectFolder

pytestmark = pytest.mark.slow

FILES = 600


class PoolRun:
    """A worker pool that copies the folder `source` to `target`."""

    def __init__(self, root: Path) -> None:
        self.source, self.target, self.staging = (root / name for name in ("source", "target", "s"))
        for folder in (self.source, self.target, self.staging):
            folder.mkdir()
        self.token = CancellationToken()
        self.options = CopyOptions(uuid4(), target_is_empty=True)
        self.directory = Directory.open(self.source)
        self.objects = ObjectFolder(Directory.open(self.target), Directory.open(self.staging))
        self.max_threads = 10
        self.finished: list[FinishedTask] = []

    def start_copy_worker(self) -> CopyWorker:
        return CopyWorker(self.directory, self.objects, self.options)

    def run(self) -> None:
        tasks = [CopyTask(uuid4(), path, path, 1, 1) for path in sorted(checksums(self.source))]
        copier = FileCopier(
            self.directory, self.objects, self.options, self.token.raise_if_cancelled
        )
        with CopyPool(
            copier,
            self.token,
            max_threads=self.max_threads,
            max_retries=0,
            start_copy_worker=self.start_copy_worker,
        ) as pool:
            pool.run(tasks, on_poll=lambda: self.collect(pool))

    def collect(self, pool: CopyPool) -> None:
        self.finished.extend(pool.pop_finished())

    def assert_complete(self) -> None:
        expected = checksums(self.source)
        assert checksums(self.target) == expected
        assert {done.task.path: done.result.sha256 for done in self.finished} == expected
        assert len(self.finished) == len(expected)
        assert {done.result.status for done in self.finished} == {CopyStatus.UPLOADED}


@pytest.fixture
def pool_run(tmp_path: Path) -> Iterator[PoolRun]:
    yield PoolRun(tmp_path)
    assert copy_worker_processes() == []


def copy_worker_processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if is_copy_worker(child)]


def is_copy_worker(process: psutil.Process) -> bool:
    try:
        return "uploads.transfer.copy_worker_main" in process.cmdline()
    except psutil.Error:
        return False


@pytest.fixture
def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of files in each batch that copy workers got."""
    sizes: list[int] = []
    copy = CopyWorker.copy

    def copy_and_count(worker: CopyWorker, files: list[tuple[str, str]]) -> list[CopyResult | None]:
        sizes.append(len(files))
        return copy(worker, files)

    monkeypatch.setattr(CopyWorker, "copy", copy_and_count)
    return sizes


def test_copy_workers_copy_many_small_files(pool_run: PoolRun, batch_sizes: list[int]) -> None:
    pool_run.max_threads = 1
    write_files(pool_run.source, FILES, max_bytes=200)
    pool_run.run()
    pool_run.assert_complete()
    assert sum(batch_sizes) == FILES


def test_few_files_are_copied_without_copy_workers(
    pool_run: PoolRun, batch_sizes: list[int]
) -> None:
    write_files(pool_run.source, 100, max_bytes=200)
    pool_run.run()
    pool_run.assert_complete()
    assert batch_sizes == []


@pytest.mark.parametrize("victims", [1, 2])
def test_the_batch_of_a_killed_copy_worker_is_completed_without_copying_twice(
    pool_run: PoolRun, monkeypatch: pytest.MonkeyPatch, victims: int
) -> None:
    """It is killed after it has copied its batch and before it replies."""
    write_files(pool_run.source, FILES, max_bytes=200)
    copy, inodes_at_kill = CopyWorker.copy, {}

    def copy_and_die(worker: CopyWorker, files: list[tuple[str, str]]) -> list[CopyResult | None]:
        results = copy(worker, files)
        if len(inodes_at_kill) < victims:
            inodes_at_kill[worker] = inodes(pool_run.target)
            worker.kill()
            return copy(worker, files)
        return results

    monkeypatch.setattr(CopyWorker, "copy", copy_and_die)
    pool_run.run()
    pool_run.assert_complete()
    for inodes_before in inodes_at_kill.values():
        assert inodes_before.items() <= inodes(pool_run.target).items()


def test_the_pool_copies_in_threads_if_no_copy_worker_can_start(
    pool_run: PoolRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> CopyWorker:
        raise BlockingIOError

    monkeypatch.setattr(pool_run, "start_copy_worker", fail)
    write_files(pool_run.source, FILES, max_bytes=200)
    pool_run.run()
    pool_run.assert_complete()


def test_the_pool_stops_at_once_even_if_copy_workers_hang(
    pool_run: PoolRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspended process stands for one that waits for a disk that does not answer."""
    write_files(pool_run.source, FILES, max_bytes=200)
    interrupted_at = []

    def interrupt(pool: CopyPool) -> None:
        for process in copy_worker_processes():
            process.suspend()
        interrupted_at.append(time.monotonic())
        raise InterruptedError

    monkeypatch.setattr(pool_run, "collect", interrupt)
    with pytest.raises(InterruptedError):
        pool_run.run()
    assert time.monotonic() - interrupted_at[0] < 2


def test_a_copy_worker_returns_none_for_a_file_it_failed_to_copy(pool_run: PoolRun) -> None:
    (pool_run.source / "small").write_text("x")
    worker = pool_run.start_copy_worker()
    try:
        copied, failed = worker.copy([("small", "small"), ("nul \0", "nul")])
        assert (copied.status, copied.size, failed) == (CopyStatus.UPLOADED, 1, None)
        assert worker.cpu_seconds > 0
        worker.kill()
        with pytest.raises(CopyWorkerDied):
            worker.copy([("small", "small")])
    finally:
        worker.close()
