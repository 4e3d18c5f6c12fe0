"""A broker for one test, which can be killed, flushed and suspended."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil
import pytest
import redis
from celery import current_app
from kombu import pools

from common.tests.support.waiting import eventually
from config.local import LocalServices


class Broker:
    """A Valkey server, with its data in `folder`, that this process publishes to within `with`."""

    def __init__(self, folder: Path) -> None:
        self._services = LocalServices(folder, postgres=False)
        self._patch = pytest.MonkeyPatch()
        self.socket = self._services.redis_socket
        self.url = f"redis+socket://{quote(str(self.socket))}?virtual_host=0"
        self.client = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5)

    def queue_length(self, queue: str = "jobs") -> int:
        """Return the number of messages that no worker has fetched."""
        return int(self.client.llen(queue))  # type: ignore[arg-type]

    def unacknowledged_count(self) -> int:
        return int(self.client.hlen("unacked"))  # type: ignore[arg-type]

    def redeliver_unacknowledged(self) -> None:
        """Put unacknowledged messages back, as the broker does after an hour."""
        for packed in self.client.hvals("unacked"):  # type: ignore[union-attr]
            message, _, queue = json.loads(packed)
            self.client.lpush(queue, json.dumps(message))

    def kill(self) -> None:
        process = self._process()
        process.kill()
        eventually(lambda: process.status() == "zombie", "the broker is dead")
        self._services.__exit__(None, None, None)

    def start(self) -> None:
        """Start the server; after `kill` it has the same data."""
        self._services.__enter__()

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Suspend the server: it keeps and accepts connections but answers nothing."""
        process = self._process()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    @contextmanager
    def out_of_memory(self) -> Iterator[None]:
        """Let the server refuse commands that need memory ("OOM …")."""
        self.client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            self.client.config_set("maxmemory", 0)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Make the server a replica of a server that does not exist ("READONLY …")."""
        self.client.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            self.client.replicaof("NO", "ONE")

    @contextmanager
    def unable_to_save(self) -> Iterator[None]:
        """Let the server refuse writes because it can't write its file ("MISCONF …")."""
        settings = self.client.config_get("*")
        file = Path(settings["dir"]) / settings["dbfilename"]  # type: ignore[index]
        file.unlink(missing_ok=True)
        file.mkdir()
        self.client.config_set("save", "3600 1")
        self._save(expected="err")
        try:
            yield
        finally:
            file.rmdir()
            self._save(expected="ok")
            self.client.config_set("save", "")

    def _save(self, *, expected: str) -> None:
        self.client.bgsave()
        eventually(
            lambda: self.client.info("persistence")["rdb_last_bgsave_status"] == expected,  # type: ignore[index]
            f"the status of saving is {expected}",
        )

    def _process(self) -> psutil.Process:
        return psutil.Process(self.client.info("server")["process_id"])  # type: ignore[index]

    def __enter__(self) -> Self:
        self.start()
        self._patch.setenv("CELERY_BROKER_URL", self.url)
        _drop_connections()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._patch.undo()
        _drop_connections()
        self.client.close()
        self._services.__exit__(None, None, None)


def _drop_connections() -> None:
    """Close the pools of the broker that was used until now."""
    pools.reset()
    # Celery would keep using some of these closed pools; this makes it drop them.
    current_app._after_fork()
    current_app.__dict__.pop("control", None)
