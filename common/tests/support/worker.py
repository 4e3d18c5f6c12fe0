"""Celery's own programs as subprocesses of a test, on its database and a broker of its choice.

    with Beat(broker.url, tmp_path), Worker(broker.url, tmp_path) as worker:
        ...
        worker.signal(signal.SIGKILL)

What a test kills it need not clean up. The log is printed at the end, so that pytest shows it
with a test that failed.
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
    """A program of Celery's in a process group of its own, from `start` to `close`."""

    program = ""
    options: tuple[str, ...] = ()

    def __init__(
        self, broker_url: str, folder: Path, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = f"{self.program}-{os.getpid()}-{next(_numbers)}"
        self.log = folder / f"{self.name}.log"
        self.environment = {
            **os.environ,
            # Settings keep what is given here: see `config.settings_for_tests`.
            "ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "config.settings_for_tests",
            "DATABASE_URL": database_url(),
            "CELERY_BROKER_URL": broker_url,
            "PGAPPNAME": self.name,
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start without waiting; `wait_ready` waits."""
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
        """The processes that do a worker's jobs."""
        return self.parent.children()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the parent and all of its children."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def signal_children(self, number: int) -> None:
        """Send a signal to the children alone."""
        for child in self.children:
            child.send_signal(number)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside, parent and children stand still (SIGSTOP)."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL for parent and children, stopped ones too."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """Kill it and wait until its database sessions are closed."""
        self.kill()
        eventually(lambda: not self.sessions(), f"{self.name} has left the database")
        print(f"--- {self.log} ---\n{self.text()}")  # noqa: T201

    def text(self) -> str:
        """All that it has logged."""
        return self.log.read_text(errors="replace")

    def says(self, words: str) -> bool:
        return words in self.text()

    def sessions(self, condition: str = "true") -> int:
        """How many of its connections to the database there are, of those where it holds that."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND "
        with connection.cursor() as cursor:
            cursor.execute(query + condition, [self.name])
            return int(cursor.fetchone()[0])

    def held(self) -> int:
        """How many of its connections wait for a lock."""
        return self.sessions("wait_event_type = 'Lock'")

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
    """A worker as in production; beat is a program of its own."""

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
        """Return when it takes jobs."""
        eventually(lambda: self.says(" ready.") or not self.is_running, f"{self.name} is ready")
        assert self.is_running, self.text()
        return self

    def find_child_by_port(self, port: int) -> psutil.Process | None:
        """Return the child whose end of a TCP connection has this port, if it still lives."""
        return next((child for child in self.children if _has_port(child, port)), None)

    def has_unread_task(self) -> bool:
        """Whether a (stopped) child has been given a task that it has not read yet."""
        return any(_unread_bytes(child.pid) for child in self.children)


class Beat(CeleryProgram):
    """The scheduler, whose sweeps publish again what was lost."""

    program = "beat"
    options = ("--loglevel=info", "--pidfile=")


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
    """The database of the running tests, as libpq and our settings read it."""
    known = connection.settings_dict
    parts = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    given = {part: str(known[key]) for part, key in parts.items() if known[key]}
    return f"postgresql:///{known['NAME']}?{urlencode(given, quote_via=quote)}"
