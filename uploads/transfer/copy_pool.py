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

from uploads.transfer.cancellation import CancellationToken
from uploads.transfer.copy_worker import CopyWorker, CopyWorkerDied
from uploads.transfer.errors import TransferCancelled
from uploads.transfer.file_copier import CopyResult, CopyStatus, FileCopier

log = structlog.get_logger(__name__)

MAX_UNFINISHED_TASKS = 10_000
MAX_SUBMITTED_TASKS = 20_000
POLL_INTERVAL_S = 0.01
# A thread that copies a file of this size spends most of its time outside the interpreter lock.
LARGE_FILE_BYTES = 256 * 1024
# Copying fewer small files takes less time than starting a process.
MIN_FILES_FOR_COPY_WORKERS = 500
# More processes would wait for this one, which lists the files.
MAX_COPY_WORKERS = min(os.cpu_count() or 1, 4)
BATCH_FILES = 64
BUSY_CPU_SHARE = 0.8  # of one processor
FIRST_RETRY_DELAY_S = 0.5
MAX_RETRY_DELAY_S = 10.0


class CopyTask(NamedTuple):
    """A file to copy; `attempt` is the number of this or the next attempt."""

    pk: UUID
    path: str
    key: str
    size: int
    mtime_ns: int
    attempt: int = 1


class FinishedTask(NamedTuple):
    task: CopyTask
    result: CopyResult


class CopyPool:
    """Up to `max_threads` threads that copy files within a `with` block.

    The pool starts one thread for each large file, and doubles the threads while tasks wait and
    the processor is idle, because the threads then wait for a disk or network. For many small
    files it starts processes with `start_copy_worker`, each used by one thread: the interpreter
    lock would let only one thread at a time copy.

    A task that fails with a transient error is retried up to `max_retries` times, each time after
    a longer delay, during which its thread copies other files.
    """

    def __init__(
        self,
        copier: FileCopier,
        token: CancellationToken,
        *,
        max_threads: int,
        max_retries: int,
        start_copy_worker: Callable[[], CopyWorker] | None = None,
    ) -> None:
        self._copier = copier
        self._token = token
        self._max_threads = max_threads
        self._max_retries = max_retries
        self._start_copy_worker = start_copy_worker
        self._queue: SimpleQueue[list[CopyTask]] = SimpleQueue()
        self._finished: deque[FinishedTask] = deque()
        self._retries: list[tuple[float, int, CopyTask]] = []
        self._retry_numbers = count()
        self._unfinished = 0
        self._submitted: set[UUID] = set()
        self._threads: list[threading.Thread] = []
        self._copy_workers: list[CopyWorker] = []
        self._last_cpu_check = time.monotonic(), time.process_time()

    def start_copy_workers_for(self, sizes: Iterable[int]) -> None:
        """Start processes, once, if files of these sizes are worth it.

        Call this before the files are submitted, so that the processes start in the meantime.
        """
        if self._copy_workers or not self._start_copy_worker:
            return
        if sum(size < LARGE_FILE_BYTES for size in sizes) >= MIN_FILES_FOR_COPY_WORKERS:
            self._start_threads(MAX_COPY_WORKERS, with_copy_workers=True)

    def submit(self, tasks: list[CopyTask]) -> bool:
        """Start as many tasks as there is room for; return whether all were started.

        `run` skips the started tasks if it gets them again.
        """
        room = min(
            MAX_UNFINISHED_TASKS - self._unfinished, MAX_SUBMITTED_TASKS - len(self._submitted)
        )
        started = tasks[: max(room, 0)]
        self._submitted.update(task.pk for task in started)
        self._enqueue(started)
        return len(started) == len(tasks)

    def run(self, tasks: Iterable[CopyTask], *, on_poll: Callable[[], None]) -> None:
        """Run these tasks and those submitted before, until all have finished.

        `on_poll` is called many times a second and must call `pop_finished`.
        """
        tasks = (task for task in tasks if task.pk not in self._submitted)
        while True:
            self._enqueue_due_retries()
            self._enqueue(list(islice(tasks, MAX_UNFINISHED_TASKS - self._unfinished)))
            if not self._unfinished:
                return
            self._token.wait(POLL_INTERVAL_S)
            on_poll()
            self._add_threads_if_idle()

    def pop_finished(self) -> Iterator[FinishedTask]:
        """Yield the tasks that have finished since the last call; schedules retries."""
        while self._finished:
            finished = self._finished.popleft()
            task, result = finished
            if result.is_transient and task.attempt <= self._max_retries:
                due = time.monotonic() + _retry_delay_s(task.attempt)
                retry = task._replace(attempt=task.attempt + 1)
                heapq.heappush(self._retries, (due, next(self._retry_numbers), retry))
            else:
                self._unfinished -= 1
                yield finished

    def _enqueue(self, tasks: list[CopyTask]) -> None:
        self._unfinished += len(tasks)
        large = [task for task in tasks if task.size >= LARGE_FILE_BYTES]
        small = [task for task in tasks if task.size < LARGE_FILE_BYTES]
        for task in large:
            self._queue.put([task])
        # Without processes the store is on a network: each small file may use its own thread.
        batch_files = BATCH_FILES if self._start_copy_worker else 1
        for start in range(0, len(small), batch_files):
            self._queue.put(small[start : start + batch_files])
        self.start_copy_workers_for(task.size for task in small)
        self._start_threads(len(large) or (1 if tasks and not self._threads else 0))

    def _enqueue_due_retries(self) -> None:
        while self._retries and self._retries[0][0] <= time.monotonic():
            self._queue.put([heapq.heappop(self._retries)[2]])

    def _add_threads_if_idle(self) -> None:
        """Double the threads if tasks wait while the processor is idle."""
        last_time, last_cpu = self._last_cpu_check
        now, cpu = self._last_cpu_check = time.monotonic(), self._cpu_seconds()
        if self._queue.empty() or any(worker.is_starting for worker in self._copy_workers):
            return
        if cpu - last_cpu < BUSY_CPU_SHARE * (now - last_time):
            self._start_threads(len(self._threads))

    def _cpu_seconds(self) -> float:
        return time.process_time() + sum(worker.cpu_seconds for worker in self._copy_workers)

    def _start_threads(self, number: int, *, with_copy_workers: bool = False) -> None:
        for _ in range(min(number, self._max_threads - len(self._threads))):
            # A copy of the context, so that the thread logs with the job's variables.
            thread = threading.Thread(
                target=copy_context().run,
                args=[self._work, self._new_copy_worker() if with_copy_workers else None],
                name=f"copy-{len(self._threads)}",
            )
            self._threads.append(thread)
            thread.start()

    def _new_copy_worker(self) -> CopyWorker | None:
        assert self._start_copy_worker is not None
        try:
            worker = self._start_copy_worker()
        except OSError:
            log.exception("copy_worker_not_started")
            return None
        self._copy_workers.append(worker)
        return worker

    def _work(self, worker: CopyWorker | None) -> None:
        """Run batches until an empty one comes; without `worker`, copy in this thread."""
        while batch := self._queue.get():
            results = self._copy_in_worker(worker, batch) if worker else None
            if results is None:
                worker = None
            try:
                for task, result in zip(batch, results or repeat(None), strict=False):
                    self._finished.append(FinishedTask(task, result or self._copy(task)))
            except TransferCancelled:
                return

    def _copy_in_worker(
        self, worker: CopyWorker, batch: list[CopyTask]
    ) -> list[CopyResult | None] | None:
        """Return the worker's result for each task, or None if it died."""
        try:
            return worker.copy([(task.path, task.key) for task in batch])
        except CopyWorkerDied:
            if not self._token.is_cancelled:
                log.warning("copy_worker_died")
            # It may have copied some files of the batch.
            self._copier.expect_existing_objects()
            return None

    def _copy(self, task: CopyTask) -> CopyResult:
        try:
            return self._copier.copy(task.path, task.key)
        except TransferCancelled:
            raise
        except Exception as error:
            log.exception("file_copy_failed", key=task.key)
            message = f"Unexpected error: {type(error).__name__}."
            return CopyResult(CopyStatus.FAILED, error=message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._token.cancel()
        for worker in self._copy_workers:
            worker.kill()
        for _ in self._threads:
            self._queue.put([])
        for thread in self._threads:
            thread.join()
        for worker in self._copy_workers:
            worker.close()


def _retry_delay_s(attempt: int) -> float:
    delay = min(FIRST_RETRY_DELAY_S * 2 ** (attempt - 1), MAX_RETRY_DELAY_S)
    return delay * random.uniform(0.75, 1.25)
