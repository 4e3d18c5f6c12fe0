"""A broker of a test's own, to be killed, flushed and stopped."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote

import psutil
import pytest
import redis
from celery import current_app
from kombu import pools

from common.tests.support.waiting import eventually


class Services(AbstractContextManager, Protocol):
    """What starts and stops a server: `config.local.LocalServices`."""

    @property
    def redis_socket(self) -> Path: ...


class Broker:
    """A server that this process publishes to as well, from `with` on.

    `make` gives what starts it; it is called again for each start.
    """

    def __init__(self, make: Callable[[], Services]) -> None:
        self._make = make
        self._services = make()
        self._patch = pytest.MonkeyPatch()
        socket = self._services.redis_socket
        self.url = f"redis+socket://{quote(str(socket))}?virtual_host=0"
        self.client = redis.Redis(unix_socket_path=str(socket), socket_timeout=5)

    def waiting(self, queue: str = "jobs") -> int:
        """How many messages nobody has fetched."""
        return int(self.client.llen(queue))  # type: ignore[arg-type]

    def unacknowledged(self) -> int:
        return int(self.client.hlen("unacked"))  # type: ignore[arg-type]

    def send_again_unacknowledged(self) -> None:
        """What the broker does when it has waited for an hour."""
        for packed in self.client.hvals("unacked"):  # type: ignore[union-attr]
            message, _, queue = json.loads(packed)
            self.client.lpush(queue, json.dumps(message))

    def kill(self) -> None:
        process = self._process()
        process.kill()
        eventually(lambda: process.status() == "zombie", "the broker is dead")
        self._services.__exit__(None, None, None)

    def start(self) -> None:
        """Start it, anew after `kill`, on the data that it had."""
        self._services = self._make()
        self._services.__enter__()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Inside, it keeps its connections, accepts new ones and answers nothing."""
        process = self._process()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _process(self) -> psutil.Process:
        return psutil.Process(self.client.info("server")["process_id"])  # type: ignore[index]

    def __enter__(self) -> Self:
        self.start()
        self._patch.setenv("CELERY_BROKER_URL", self.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._patch.undo()
        pools.reset()
        # Celery keeps some of these pools, which are closed now, until it believes in a fork.
        current_app._after_fork()
        self.client.close()
        self._services.__exit__(None, None, None)
