"""`make run` restarts processes that end, and stops when its terminal is closed."""

import os
import pty
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.local.process_manager import ProcessManager
from config.local.processes import find_by_session
from config.local.restarts import Restarts
from config.local.run import is_closed

pytestmark = pytest.mark.slow


class RecordingManager(ProcessManager):
    """Keeps what it says instead of printing it."""

    said: list[str]

    def print(self, text: str, name: str = "bureau", colour: str | None = None) -> None:
        self.said.append(text)


@pytest.fixture
def children(tmp_path: Path) -> Iterator["RecordingManager"]:
    handlers = {number: signal.getsignal(number) for number in (1, 2, 15)}
    with RecordingManager(str(tmp_path), dict(os.environ), tmp_path) as manager:
        manager.said = []
        yield manager
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def check_until(restarts: Restarts, path: Path, lines: int) -> None:
    """Check until the process has written its `lines`-th line, one for each start."""
    deadline = time.monotonic() + 10
    while len(path.read_text().splitlines() if path.exists() else []) < lines:
        assert time.monotonic() < deadline
        restarts.check()
        time.sleep(0.02)


def check_until_said(restarts: Restarts, children: RecordingManager, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in "".join(children.said[-1:]):
        assert time.monotonic() < deadline, children.said
        restarts.check()
        time.sleep(0.02)


def test_a_process_starts_again_after_growing_waits(
    children: RecordingManager, tmp_path: Path
) -> None:
    clock, starts = Clock(), tmp_path / "starts"
    restarts = Restarts(children, clock)
    children.start("web", f"sh -c 'echo started >> {starts}; exit 3'")
    for number, wait in enumerate([1, 2, 4, 8, 16, 30], start=1):
        sentence = f"web has ended with code 3 and starts again in {wait} s."
        check_until_said(restarts, children, sentence)
        clock.now += wait - 0.5
        restarts.check()
        assert len(starts.read_text().splitlines()) == number
        clock.now += 0.5
        check_until(restarts, starts, number + 1)
    assert len(children.said) == 6
    clock.now += 60  # it seems to have lived that long
    check_until_said(restarts, children, "starts again in 1 s.")


def test_what_a_killed_process_had_started_is_ended_before_its_restart(
    children: RecordingManager, tmp_path: Path
) -> None:
    children.start("web", f"sh -c 'sleep 60 & echo $$ > {tmp_path / 'pid'}; wait'")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    session = int((tmp_path / "pid").read_text())
    os.kill(session, signal.SIGKILL)
    while not (ended := children.collect_exits()):
        time.sleep(0.02)
    assert ended == [("web", 137)]
    assert find_by_session(session) == []


def test_a_closed_terminal_is_noticed() -> None:
    ours, terminal = pty.openpty()
    assert not is_closed(terminal)
    os.close(ours)
    assert is_closed(terminal)
    os.close(terminal)
