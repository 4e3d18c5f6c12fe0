"""Many small files are copied by processes of their own, which may die as any."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from uploads.tests.file_trees import contents, grow, inodes
from uploads.transfer.cancellation import CancellationToken
from uploads.transfer.copy_worker import CopyWorker, CopyWorkerDied
from uploads.transfer.file_copier import FileCopier, CopyStatus, CopyOptions, CopyResult
from uploads.transfer.directories import Directory
from uploads.transfer.object_folder import ObjectFolder
from uploads.transfer.worker_pool import WorkerPool, FinishedTask, CopyTask

FILES = 600


class Copied:
    """A crew that copies the folder `source` to `target`."""

    def __init__(self, root: Path) -> None:
        self.source, self.target, self.aside = (root / name for name in ("source", "target", "a"))
        for folder in (self.source, self.target, self.aside):
            folder.mkdir()
        self.stop, self.how = CancellationToken(), CopyOptions(uuid4(), is_new=True)
        self.folder = Directory.open(self.source)
        self.objects = ObjectFolder(Directory.open(self.target), Directory.open(self.aside))
        copying = FileCopier(self.folder, self.objects, self.how, self.stop.check)
        self.crew = WorkerPool(copying, self.stop, size=10, retries=0, start_helper=self.helper)
        self.settled: list[FinishedTask] = []

    def helper(self) -> CopyWorker:
        return CopyWorker(self.folder, self.objects, self.how)

    def run(self) -> None:
        tasks = [CopyTask(uuid4(), path, path, 1, 1) for path in sorted(contents(self.source))]
        with self.crew:
            self.crew.run(tasks, tick=self.tick)

    def tick(self) -> None:
        self.settled.extend(self.crew.settled())

    def assert_complete(self) -> None:
        known = contents(self.source)
        assert contents(self.target) == known
        assert {done.task.path: done.outcome.sha256 for done in self.settled} == known
        assert len(self.settled) == len(known)
        assert {done.outcome.fate for done in self.settled} == {CopyStatus.UPLOADED}


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Copied]:
    yield Copied(tmp_path)
    assert helpers() == []


def helpers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if is_helper(child)]


def is_helper(process: psutil.Process) -> bool:
    try:
        return "uploads.transfer.copy_worker_main" in process.cmdline()
    except psutil.Error:
        return False


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """CopyOptions many files helpers were told at once."""
    told: list[int] = []
    copy = CopyWorker.copy

    def noted(helper: CopyWorker, files: list[tuple[str, str]]) -> list[CopyResult | None]:
        told.append(len(files))
        return copy(helper, files)

    monkeypatch.setattr(CopyWorker, "copy", noted)
    return told


def test_they_copy_many_small_files(
    copied: Copied, told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied.crew, "_size", 1)
    grow(copied.source, FILES, largest=200)
    copied.run()
    copied.assert_complete()
    assert sum(told) == FILES


def test_few_files_are_not_worth_one(copied: Copied, told: list[int]) -> None:
    grow(copied.source, 100, largest=200)
    copied.run()
    copied.assert_complete()
    assert told == []


@pytest.mark.parametrize("victims", [1, 2])
def test_what_a_killed_one_had_to_do_is_done_and_what_it_had_done_is_not_done_again(
    copied: Copied, monkeypatch: pytest.MonkeyPatch, victims: int
) -> None:
    """Killed when it has copied its batch, and before it tells."""
    grow(copied.source, FILES, largest=200)
    copy, there = CopyWorker.copy, {}

    def killed(helper: CopyWorker, files: list[tuple[str, str]]) -> list[CopyResult | None]:
        outcomes = copy(helper, files)
        if len(there) < victims:
            there[helper] = inodes(copied.target)
            helper.kill()
            return copy(helper, files)
        return outcomes

    monkeypatch.setattr(CopyWorker, "copy", killed)
    copied.run()
    copied.assert_complete()
    for known in there.values():
        assert known.items() <= inodes(copied.target).items()


def test_one_that_can_not_be_started_is_done_without(
    copied: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> CopyWorker:
        raise BlockingIOError

    monkeypatch.setattr(copied.crew, "_start_helper", fail)
    grow(copied.source, FILES, largest=200)
    copied.run()
    copied.assert_complete()


def test_they_stop_at_once(copied: Copied, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even those that stand still, as on a disk that does not answer."""
    grow(copied.source, FILES, largest=200)

    cancelled_at = []

    def cancelled() -> None:
        for helper in helpers():
            helper.suspend()
        cancelled_at.append(time.monotonic())
        raise InterruptedError

    monkeypatch.setattr(copied, "tick", cancelled)
    with pytest.raises(InterruptedError):
        copied.run()
    assert time.monotonic() - cancelled_at[0] < 2


def test_what_it_does_not_know_is_tried_here(copied: Copied) -> None:
    (copied.source / "known").write_text("x")
    helper = copied.helper()
    try:
        known, unknown = helper.copy([("known", "known"), ("nul \0", "nul")])
        assert (known.fate, known.size, unknown) == (CopyStatus.UPLOADED, 1, None)
        assert helper.spent > 0
        helper.kill()
        with pytest.raises(CopyWorkerDied):
            helper.copy([("known", "known")])
    finally:
        helper.close()
