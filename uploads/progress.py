"""What a session tells of itself while it runs."""

import time
from types import TracebackType
from typing import Self

from common.jobs import LostLease
from common.jobs.runner import through_restarts
from uploads.ledger import Ledger
from uploads.transfer.crew import Settled

PAUSE = 0.5  # seconds between two writes at least


class Progress:
    """Writes what became of files, twice a second at most, and at the end of `with` the rest.

    Each write renews the lease as well, and raises `LostLease` where the session was cancelled or
    is another run's; so `tick` is to be called often, even when nothing has happened.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._settled: list[Settled] = []
        self._written = time.monotonic()

    def add(self, settled: Settled) -> None:
        self._settled.append(settled)

    def tick(self) -> None:
        if time.monotonic() - self._written >= PAUSE:
            self._write()

    def _write(self) -> None:
        through_restarts(lambda: self._ledger.settle(self._settled))
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
        if self._settled and not isinstance(error, LostLease):
            self._write()
