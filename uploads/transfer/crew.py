"""Threads that copy files, and one that hands them out."""

import heapq
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from itertools import count
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

import structlog

from uploads.transfer.copying import Copying, Fate, Outcome
from uploads.transfer.errors import Stopped
from uploads.transfer.stop import Stop

log = structlog.get_logger(__name__)

AHEAD = 4000  # files handed out and not settled
MOST_OFFERED = 20_000
LOOK = 0.02  # seconds between two looks at what is done
LARGE = 256 * 1024  # bytes, of which a thread is busy outside of the interpreter
BUSY = 0.8  # of one processor
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0


class Task(NamedTuple):
    """A file to copy; `tries` is how often that has been tried."""

    pk: UUID
    path: str
    key: str
    size: int
    mtime_ns: int
    tries: int = 0


class Settled(NamedTuple):
    task: Task
    outcome: Outcome


class Crew:
    """Up to `size` threads; when `with` ends they are told to stop and waited for.

    There are as many as help: one more for each large file, and twice as many where those that
    are there wait for a disk or a network. Many small files on a quick disk are copied by one,
    because the interpreter runs one thread at a time and the others only took turns with it.

    What failed and may do better later is tried again up to `retries` times, after a pause that
    is longer each time and that keeps no thread from other files.
    """

    def __init__(self, copying: Copying, stop: Stop, *, size: int, retries: int) -> None:
        self._copying = copying
        self._stop = stop
        self._size = size
        self._retries = retries
        self._todo: SimpleQueue[Task | None] = SimpleQueue()
        self._done: deque[Settled] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._numbers = count()
        self._unsettled = 0
        self._offered: set[UUID] = set()
        self._threads: list[threading.Thread] = []
        self._looked = time.monotonic(), time.process_time()

    def offer(self, tasks: list[Task]) -> None:
        """Begin with as many of them as there is room for; `run` is to get them all the same."""
        room = min(AHEAD - self._unsettled, MOST_OFFERED - len(self._offered))
        for task in tasks[: max(room, 0)]:
            self._offered.add(task.pk)
            self._hand_out(task)

    def run(self, tasks: Iterator[Task], *, tick: Callable[[], None]) -> None:
        """Copy all files; `tick` is called many times a second, and is to ask for `settled`."""
        tasks = (task for task in tasks if task.pk not in self._offered)
        while True:
            self._hand_out_later()
            while self._unsettled < AHEAD and (task := next(tasks, None)):
                self._hand_out(task)
            if not self._unsettled:
                return
            self._stop.wait(LOOK)
            tick()
            self._grow()

    def settled(self) -> Iterator[Settled]:
        """What became of files since it was asked last."""
        while self._done:
            settled = self._done.popleft()
            task, outcome = settled
            if outcome.is_passing and task.tries <= self._retries:
                due = time.monotonic() + _pause(task.tries)
                heapq.heappush(self._later, (due, next(self._numbers), task))
            else:
                self._unsettled -= 1
                yield settled

    def _hand_out(self, task: Task) -> None:
        self._unsettled += 1
        self._todo.put(task)
        if not self._threads or task.size >= LARGE:
            self._hire(1)

    def _grow(self) -> None:
        """More threads, if files wait while the processor does."""
        then, spent = self._looked
        now, spent_now = self._looked = time.monotonic(), time.process_time()
        if not self._todo.empty() and spent_now - spent < BUSY * (now - then):
            self._hire(len(self._threads))

    def _hire(self, more: int) -> None:
        for _ in range(min(more, self._size - len(self._threads))):
            # It logs in the words of the one that made it.
            thread = threading.Thread(
                target=copy_context().run,
                args=[self._work],
                name=f"copying-{len(self._threads)}",
            )
            self._threads.append(thread)
            thread.start()

    def _hand_out_later(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._todo.put(heapq.heappop(self._later)[2])

    def _work(self) -> None:
        while task := self._todo.get():
            task = task._replace(tries=task.tries + 1)
            try:
                outcome = self._copying.copy(task.path, task.key)
            except Stopped:
                return
            except Exception as error:
                log.exception("copying_raised", key=task.key)
                outcome = Outcome(Fate.FAILED, error=f"Unexpected error: {type(error).__name__}.")
            self._done.append(Settled(task, outcome))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.tell()
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()


def _pause(tries: int) -> float:
    return min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE) * random.uniform(0.75, 1.25)
