"""What a session tells of itself while it runs."""

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from common.jobs import LostLease
from common.postgres.retries import retry_on_disconnect
from uploads.file_rows import Ledger
from uploads.transfer.worker_pool import Settled

PAUSE = 0.5  # seconds between two writes at least


class Progress:
    """Writes what became of files, twice a second at most, and at the end of `with` the rest.

    settled: gives what became of files since it was asked last.

    Each write renews the lease as well, and raises `LostLease` where the session was cancelled or
    is another run's; so `tick` is to be called often, even when nothing has happened.
    """

    def __init__(self, ledger: Ledger, settled: Callable[[], Iterable[Settled]]) -> None:
        self._ledger = ledger
        self._ask = settled
        self._settled: list[Settled] = []
        self._written = time.monotonic()

    def tick(self) -> None:
        self._settled.extend(self._ask())
        if time.monotonic() - self._written >= PAUSE:
            self._write()

    def _write(self) -> None:
        retry_on_disconnect(lambda: self._ledger.settle(self._settled))
        self._settled.clear()
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._settled.extend(self._ask())
        if self._settled and not isinstance(error, LostLease):
            self._write()
