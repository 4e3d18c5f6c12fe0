"""Celery programs as subprocesses of a test, with the test's database and any broker.

    with Beat(broker.url, tmp_path), Worker(broker.url, tmp_path) as worker:
        ...
        worker.signal(signal.SIGKILL)

A program that was killed needs no cleanup. The log is printed at the end, so that pytest shows it
for a test that failed.
"""

import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import psutil
from django.db import connection

from common.tests.support.waiting import eventually

_numbers = count(1)


class CeleryProgram:
    """A Celery program in a process group of its own, from `start` to `close`."""

    program = ""
    options: tuple[str, ...] = ()

    def __init__(
        self, broker_url: str, folder: Path, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = f"{self.program}-{os.getpid()}-{next(_numbers)}"
        self.log = folder / f"{self.name}.log"
        self.environment = {
            **os.environ,
            # With this `settings_for_tests` keeps the values given here.
            "ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "config.settings_for_tests",
            "DATABASE_URL": database_url(),
            "CELERY_BROKER_URL": broker_url,
            "PGAPPNAME": self.name,
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the program without waiting for it."""
        command = [sys.executable, "-m", "celery", "--app", "config", self.program, *self.options]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        return self

    def wait_ready(self) -> Self:
        return self

    @property
    def parent(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    @property
    def children(self) -> list[psutil.Process]:
        """The processes in which a worker runs jobs."""
        return self.parent.children()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the parent and its children."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def signal_children(self, number: int) -> None:
        """Send a signal only to the children."""
        for child in self.children:
            child.send_signal(number)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Suspend parent and children (SIGSTOP)."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill parent and children, even if they are suspended."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """Kill it and wait until its database sessions are closed."""
        self.kill()
        eventually(lambda: not self.session_count(), f"{self.name} has left the database")
        print(f"--- {self.log} ---\n{self.read_log()}")  # noqa: T201

    def read_log(self) -> str:
        return self.log.read_text(errors="replace")

    def has_logged(self, text: str) -> bool:
        return text in self.read_log()

    def session_count(self, condition: str = "true") -> int:
        """Return how many of its database sessions meet a condition on `pg_stat_activity`."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND "
        with connection.cursor() as cursor:
            cursor.execute(query + condition, [self.name])
            return int(cursor.fetchone()[0])

    def lock_wait_count(self) -> int:
        """Return how many of its database sessions wait for a lock."""
        return self.session_count("wait_event_type = 'Lock'")

    def __enter__(self) -> Self:
        return self.start().wait_ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Worker(CeleryProgram):
    """A worker as in production, without beat."""

    program = "worker"

    def __init__(
        self,
        broker_url: str,
        folder: Path,
        *,
        concurrency: int = 2,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(broker_url, folder, environment=environment)
        self.concurrency = concurrency
        self.options = (
            "--loglevel=info",
            f"--concurrency={concurrency}",
            f"--hostname={self.name}@test",
        )

    def wait_ready(self) -> Self:
        """Wait until the worker accepts jobs."""
        eventually(
            lambda: self.has_logged(" ready.") or not self.is_running, f"{self.name} is ready"
        )
        assert self.is_running, self.read_log()
        return self

    def wait_whole(self) -> Self:
        """Wait until all processes that died are replaced."""
        eventually(self._is_whole, f"{self.name} has replaced its dead processes")
        return self

    def _is_whole(self) -> bool:
        states = [child.status() for child in self.children]
        return len(states) >= self.concurrency and psutil.STATUS_ZOMBIE not in states

    def find_child_by_port(self, port: int) -> psutil.Process | None:
        """Return the child whose end of a TCP connection has this port, if it still lives."""
        return next((child for child in self.children if _has_port(child, port)), None)

    def has_unread_task(self) -> bool:
        """Return whether a (suspended) child was sent a task that it has not read yet."""
        return any(_unread_bytes(child.pid) for child in self.children)


class Beat(CeleryProgram):
    """The scheduler, which sweeps jobs."""

    program = "beat"
    options = ("--loglevel=info", "--pidfile=")

    def __init__(self, broker_url: str, folder: Path) -> None:
        # A refresh between two tests would store a feed, which the next test does not expect.
        super().__init__(broker_url, folder, environment={"POSTS_REFRESH_SECONDS": "86400"})


def _has_port(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(tcp.laddr.port == port for tcp in process.net_connections("tcp"))
    return False


def _unread_bytes(pid: int) -> int:
    return sum(_unread_in(pipe) for pipe in Path(f"/proc/{pid}/fd").iterdir() if pipe.is_fifo())


def _unread_in(pipe: Path) -> int:
    fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(fd)


def database_url() -> str:
    """Return the URL of the test database, for libpq and our settings."""
    settings = connection.settings_dict
    keys = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    parameters = {name: str(settings[key]) for name, key in keys.items() if settings[key]}
    return f"postgresql:///{settings['NAME']}?{urlencode(parameters, quote_via=quote)}"
