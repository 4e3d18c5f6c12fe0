"""Detect a database server that does not respond."""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg import OperationalError
from psycopg.errors import ConnectionTimeout

from common.single_flight import SingleFlight

log = structlog.get_logger(__name__)

T = TypeVar("T")

# After this time without a response, the server is pinged with a new connection.
MAX_SILENCE_S = 0.7
PING_TIMEOUT_S = 1.0
# While the server is known to be unresponsive, each caller waits only this long for a ping.
SHORT_PING_TIMEOUT_S = 0.05

UNRESPONSIVE = "the database server does not respond"


class LivenessMonitor:
    """Whether the database server responds, known to all threads of this process."""

    def __init__(self) -> None:
        self.is_unresponsive = False
        self.connection_parameters: dict[str, Any] = {}
        self._last_response = 0.0
        self._ping: SingleFlight[None] = SingleFlight("ping", self._connect)

    def record_response(self) -> None:
        self._last_response = time.monotonic()

    def check(self, waiting_since: float) -> None:
        """Raise `OperationalError` if no thread got a response for too long.

        `waiting_since` is when the caller's query began, by `time.monotonic`.
        """
        if self.is_unresponsive:
            raise OperationalError(UNRESPONSIVE)
        if time.monotonic() - max(waiting_since, self._last_response) > MAX_SILENCE_S:
            self._require_ping(PING_TIMEOUT_S)

    def check_before_connect(self, parameters: dict[str, Any]) -> None:
        """Raise `OperationalError` soon if the server is unresponsive, so that no queue grows."""
        self.connection_parameters = parameters
        if self.is_unresponsive:
            self._require_ping(SHORT_PING_TIMEOUT_S)

    def check_after_pool_timeout(self) -> None:
        """Check the server after the pool could not provide a connection in time."""
        self._require_ping(SHORT_PING_TIMEOUT_S)

    def start_ping(self) -> None:
        """Ping the server in the background; a success ends `is_unresponsive`."""
        self._ping.start()

    def _require_ping(self, timeout_s: float) -> None:
        try:
            self._ping.call(timeout_s=timeout_s)
        except (TimeoutError, ConnectionTimeout):
            if not self.is_unresponsive:
                self.is_unresponsive = True
                log.error("database_unresponsive")
            raise OperationalError(UNRESPONSIVE) from None

    def _connect(self) -> None:
        """Connect to the server, outside of the pool, whose connections may all hang.

        It continues after its callers have timed out, and detects when the server responds again.
        """
        try:
            psycopg.connect(**self.connection_parameters).close()
        except ConnectionTimeout:
            raise
        except psycopg.Error:
            pass  # a server that refuses a connection does respond
        self.record_response()
        if self.is_unresponsive:
            self.is_unresponsive = False
            log.info("database_responsive")


monitor = LivenessMonitor()


class MonitoredConnection(psycopg.Connection):
    """A connection that stops waiting when the server is unresponsive."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = super().wait(_check_while_waiting(gen), *args, **kwargs)
        except OperationalError:
            if monitor.is_unresponsive:
                # The state of its query is unknown, so it must not be used again.
                self.close()
            raise
        monitor.record_response()
        return result


def _check_while_waiting(gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """Wrap psycopg's generator; it is resumed every 0.1 s while the connection is not ready."""
    started = time.monotonic()
    try:
        state = next(gen)
        while True:
            ready = yield state
            if not ready:
                monitor.check(started)
            state = gen.send(ready)
    except StopIteration as stop:
        return stop.value
