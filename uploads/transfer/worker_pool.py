"""Threads that copy files, or have helpers copy them, and one that hands them out."""

import heapq
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from itertools import count, islice, repeat
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

import structlog

from uploads.transfer.cancellation import Stop
from uploads.transfer.copy_worker import Helper, HelperDied
from uploads.transfer.copying import Copying, Fate, Outcome
from uploads.transfer.errors import Stopped

log = structlog.get_logger(__name__)

AHEAD = 10_000  # files handed out and not settled
MOST_OFFERED = 20_000
LOOK = 0.01  # seconds between two looks at what is done
LARGE = 256 * 1024  # bytes, of which a thread is busy outside of the interpreter
MANY = 500  # small files, of which a helper has copied the first when one has copied the last
MOST_HELPERS = min(os.cpu_count() or 1, 4)  # more would wait for who finds the files
BATCH = 64  # small files that a helper is told at once
BUSY = 0.8  # of one processor
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0


class Task(NamedTuple):
    """A file to copy; `tries` is how often that is tried, with the next."""

    pk: UUID
    path: str
    key: str
    size: int
    mtime_ns: int
    tries: int = 1


class Settled(NamedTuple):
    task: Task
    outcome: Outcome


class Crew:
    """Up to `size` threads; when `with` ends they are told to stop and waited for.

    There are as many as help: one more for each large file, and twice as many where those that
    are there wait for a disk or a network. Of many small files on a quick disk, the interpreter
    would let one thread at a time copy, so `start_helper` makes processes that do it for them.

    What failed and may do better later is tried again up to `retries` times, after a pause that
    is longer each time and that keeps no thread from other files.
    """

    def __init__(
        self,
        copying: Copying,
        stop: Stop,
        *,
        size: int,
        retries: int,
        start_helper: Callable[[], Helper] | None = None,
    ) -> None:
        self._copying = copying
        self._stop = stop
        self._size = size
        self._retries = retries
        self._start_helper = start_helper
        self._todo: SimpleQueue[list[Task]] = SimpleQueue()
        self._done: deque[Settled] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._numbers = count()
        self._unsettled = 0
        self._offered: set[UUID] = set()
        self._threads: list[threading.Thread] = []
        self._helpers: list[Helper] = []
        self._looked = time.monotonic(), time.process_time()

    def expect(self, sizes: Iterable[int]) -> None:
        """Files of these sizes are about to be offered: if helpers help, they start meanwhile."""
        if self._helpers or not self._start_helper:
            return
        if sum(size < LARGE for size in sizes) >= MANY:
            self._hire(MOST_HELPERS, with_helpers=True)

    def offer(self, tasks: list[Task]) -> bool:
        """Begin with as many of them as there is room for; returns whether there was for all.

        `run` may get those again that were taken.
        """
        room = min(AHEAD - self._unsettled, MOST_OFFERED - len(self._offered))
        taken = tasks[: max(room, 0)]
        self._offered.update(task.pk for task in taken)
        self._hand_out(taken)
        return len(taken) == len(tasks)

    def run(self, tasks: Iterable[Task], *, tick: Callable[[], None]) -> None:
        """Copy these and what was taken before.

        `tick` is called many times a second, and is to ask for `settled`.
        """
        tasks = (task for task in tasks if task.pk not in self._offered)
        while True:
            self._hand_out_later()
            self._hand_out(list(islice(tasks, AHEAD - self._unsettled)))
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
                again = task._replace(tries=task.tries + 1)
                heapq.heappush(self._later, (due, next(self._numbers), again))
            else:
                self._unsettled -= 1
                yield settled

    def _hand_out(self, tasks: list[Task]) -> None:
        self._unsettled += len(tasks)
        large = [task for task in tasks if task.size >= LARGE]
        small = [task for task in tasks if task.size < LARGE]
        for task in large:
            self._todo.put([task])
        # Without helpers, many small files wait for a network, and each may have its own thread.
        batch = BATCH if self._start_helper else 1
        for start in range(0, len(small), batch):
            self._todo.put(small[start : start + batch])
        self.expect(task.size for task in small)
        self._hire(len(large) or (1 if tasks and not self._threads else 0))

    def _grow(self) -> None:
        """More threads, if files wait while the processor does."""
        then, spent = self._looked
        now, spent_now = self._looked = time.monotonic(), self._spent()
        if self._todo.empty() or any(helper.is_starting for helper in self._helpers):
            return
        if spent_now - spent < BUSY * (now - then):
            self._hire(len(self._threads))

    def _spent(self) -> float:
        return time.process_time() + sum(helper.spent for helper in self._helpers)

    def _hire(self, more: int, *, with_helpers: bool = False) -> None:
        for _ in range(min(more, self._size - len(self._threads))):
            # It logs in the words of the one that made it.
            thread = threading.Thread(
                target=copy_context().run,
                args=[self._work, self._new_helper() if with_helpers else None],
                name=f"copying-{len(self._threads)}",
            )
            self._threads.append(thread)
            thread.start()

    def _new_helper(self) -> Helper | None:
        assert self._start_helper is not None
        try:
            helper = self._start_helper()
        except OSError:
            log.exception("helper_not_started")
            return None
        self._helpers.append(helper)
        return helper

    def _hand_out_later(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._todo.put([heapq.heappop(self._later)[2]])

    def _work(self, helper: Helper | None) -> None:
        while batch := self._todo.get():
            told = self._told(helper, batch) if helper else None
            if told is None:
                helper = None
            try:
                for task, outcome in zip(batch, told or repeat(None), strict=False):
                    self._done.append(Settled(task, outcome or self._copy(task)))
            except Stopped:
                return

    def _told(self, helper: Helper, batch: list[Task]) -> list[Outcome | None] | None:
        """What the helper says of each; None where it has died, of who knows how many done."""
        try:
            return helper.copy([(task.path, task.key) for task in batch])
        except HelperDied:
            if not self._stop.is_told:
                log.warning("helper_died")
            self._copying.look()
            return None

    def _copy(self, task: Task) -> Outcome:
        try:
            return self._copying.copy(task.path, task.key)
        except Stopped:
            raise
        except Exception as error:
            log.exception("copying_raised", key=task.key)
            return Outcome(Fate.FAILED, error=f"Unexpected error: {type(error).__name__}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.tell()
        for helper in self._helpers:
            helper.kill()
        for _ in self._threads:
            self._todo.put([])
        for thread in self._threads:
            thread.join()
        for helper in self._helpers:
            helper.close()


def _pause(tries: int) -> float:
    return min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE) * random.uniform(0.75, 1.25)
