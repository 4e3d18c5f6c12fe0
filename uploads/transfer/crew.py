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
LOOK = 0.02  # seconds between two looks at what is done
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
    """`size` threads from `with` on; when that ends they are told to stop and waited for.

    What failed and may do better later is tried again up to `retries` times, after a pause that
    is longer each time and that keeps no thread from other files.
    """

    def __init__(self, copying: Copying, stop: Stop, *, size: int, retries: int) -> None:
        self._copying = copying
        self._stop = stop
        self._retries = retries
        self._todo: SimpleQueue[Task | None] = SimpleQueue()
        self._done: deque[Settled] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._numbers = count()
        self._unsettled = 0
        # Each thread logs in the words of the one that made it.
        self._threads = [
            threading.Thread(target=copy_context().run, args=[self._work], name=f"copying-{n}")
            for n in range(size)
        ]

    def run(self, tasks: Iterator[Task], *, tick: Callable[[], None]) -> Iterator[Settled]:
        """Copy all files and give what became of each; `tick` is called many times a second."""
        while True:
            self._hand_out(tasks)
            if not self._unsettled:
                return
            self._stop.wait(LOOK)
            yield from self._settle()
            tick()

    def _hand_out(self, tasks: Iterator[Task]) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._todo.put(heapq.heappop(self._later)[2])
        while self._unsettled < AHEAD and (task := next(tasks, None)):
            self._unsettled += 1
            self._todo.put(task)

    def _settle(self) -> Iterator[Settled]:
        while self._done:
            settled = self._done.popleft()
            task, outcome = settled
            if outcome.is_passing and task.tries <= self._retries:
                due = time.monotonic() + _pause(task.tries)
                heapq.heappush(self._later, (due, next(self._numbers), task))
            else:
                self._unsettled -= 1
                yield settled

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
        for thread in self._threads:
            thread.start()
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
