"""Whether the server still answers anybody."""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg import OperationalError
from psycopg.errors import ConnectionTimeout

from common.single_flight import Inquiry, TooSlow

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Seconds without a word from the server after which it is asked for a sign of life, and that it
# has for that; a server that gave none is asked by each who comes, who waits for so long at most.
SUSPICION, PATIENCE, BRIEFLY = 0.7, 1.0, 0.05


class Pulse:
    """The state of this process's server, as its threads have found it."""

    def __init__(self) -> None:
        self.is_lost = False
        self._heard = 0.0
        self._parameters: dict[str, Any] = {}
        self._ping: Inquiry[None] = Inquiry("ping", self._connect)

    def hear(self) -> None:
        """The server has answered somebody."""
        self._heard = time.monotonic()

    def check(self, since: float) -> None:
        """Raise `OperationalError` if nobody has heard of the server for too long.

        `since` is when the caller began to wait.
        """
        if self.is_lost:
            raise OperationalError("the database has stopped to answer")
        if time.monotonic() - max(since, self._heard) > SUSPICION:
            self._ask(PATIENCE)

    def check_back(self, parameters: dict[str, Any]) -> None:
        """Raise at once while the server is lost, so that nobody queues up for it."""
        self._parameters = parameters
        if self.is_lost:
            self._ask(BRIEFLY)

    def suspect(self) -> None:
        """No connection was to be had for as long as the pool waits for one."""
        self._ask(BRIEFLY)

    def _ask(self, patience: float) -> None:
        try:
            self._ping.answer(patience)
        except (TooSlow, ConnectionTimeout):
            if not self.is_lost:
                self.is_lost = True
                log.error("database_lost")
            raise OperationalError("the database has stopped to answer") from None

    def _connect(self) -> None:
        """By a connection of its own, as all others may hang; also when nobody waits any more."""
        try:
            psycopg.connect(**self._parameters).close()
        except ConnectionTimeout:
            raise
        except psycopg.Error:
            pass  # a refusal is an answer too
        self.hear()
        if self.is_lost:
            self.is_lost = False
            log.info("database_found")


pulse = Pulse()


class WatchedConnection(psycopg.Connection):
    """Waits for an answer only as long as the server gives signs of life."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = super().wait(_watched(gen), *args, **kwargs)
        except OperationalError:
            if pulse.is_lost:
                # What it was at is unknown: nobody may use it again.
                self.close()
            raise
        pulse.hear()
        return answer


def _watched(gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """The same generator; psycopg looks in each tenth of a second, with nothing ready."""
    since = time.monotonic()
    try:
        state = next(gen)
        while True:
            ready = yield state
            if not ready:
                pulse.check(since)
            state = gen.send(ready)
    except StopIteration as stop:
        return stop.value
