import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from common.jobs import LostLease
from common.postgres.retries import retry_on_disconnect
from uploads.file_rows import FileRows
from uploads.transfer.copy_pool import FinishedTask

MIN_WRITE_INTERVAL_S = 0.5


class ProgressWriter:
    """Writes the results of finished tasks to the database, at most twice a second.

    pop_finished: returns the tasks that have finished since its last call.

    Each write also renews the lease, and raises `LostLease` if the session was cancelled or
    claimed by another run. So `update` must be called often, even if no task has finished. The
    remaining results are written at the end of the `with` block.
    """

    def __init__(
        self, file_rows: FileRows, pop_finished: Callable[[], Iterable[FinishedTask]]
    ) -> None:
        self._file_rows = file_rows
        self._pop_finished = pop_finished
        self._unwritten: list[FinishedTask] = []
        self._last_write = time.monotonic()

    def update(self) -> None:
        self._unwritten.extend(self._pop_finished())
        if time.monotonic() - self._last_write >= MIN_WRITE_INTERVAL_S:
            self._write()

    def _write(self) -> None:
        retry_on_disconnect(lambda: self._file_rows.save_results(self._unwritten))
        self._unwritten.clear()
        self._last_write = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unwritten.extend(self._pop_finished())
        if self._unwritten and not isinstance(error, LostLease):
            self._write()
