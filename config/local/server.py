"""The base class of the local servers: find, start, wait for and stop one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import psutil

from config.local.locks import POLL_INTERVAL_S, LocalServiceError
from config.local.paths import LocalPaths
from config.local.privileges import find_launcher, give_to_nobody
from config.local.processes import find_by_command, is_alive, send_signal, wait_for_exit

START_TIMEOUT_S = 60.0


class LocalServer(ABC):
    """A server of this clone: data in `root/<key>`, a socket in `sockets/<key>`, and a log."""

    name: ClassVar[str]
    key: ClassVar[str]
    program: ClassVar[str]
    wheel: ClassVar[str]
    variable: ClassVar[str]
    # Signals to send in turn, each with the seconds to wait for its effect.
    stop_signals: ClassVar[list[tuple[signal.Signals, float]]]

    def __init__(self, paths: LocalPaths) -> None:
        self.paths = paths
        self.data = paths.root / self.key
        self.log = paths.logs / f"{self.key}.log"
        self.socket_dir = paths.sockets / self.key
        self._process: psutil.Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @abstractmethod
    def is_answering(self) -> bool:
        """Return whether the server accepts commands; wait a few seconds at most."""

    @abstractmethod
    def _prepare_data(self) -> None:
        """Create the data if it does not exist."""

    @abstractmethod
    def _arguments(self) -> list[str]:
        """Return the arguments for a foreground server; the data folder must be one of them."""

    @abstractmethod
    def _program_folder(self) -> Path:
        """Return the folder with the wheel's programs."""

    def start(self) -> None:
        """Start the server unless it runs already, and return when it answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_answering():
            if self._find_process() is None:
                self._launch()
            elif not self.data.exists():
                # It serves a folder that was deleted and replaced by another clone.
                self.stop()
            if time.monotonic() > deadline:
                raise self._error(f"does not answer after {START_TIMEOUT_S:.0f} seconds")
            time.sleep(POLL_INTERVAL_S)

    def is_running(self) -> bool:
        """Return whether there is a process, even one that does not answer."""
        return self._find_process() is not None

    def stop(self) -> None:
        """Stop the server, even if another process started it, and wait for its end."""
        process = self._find_process()
        for signum, timeout in self.stop_signals if process else []:
            send_signal(process, signum)
            if not wait_for_exit([process], timeout=timeout):
                break
        self.detach()

    def detach(self) -> None:
        """Leave the server to its other users, or reap it if it has ended."""
        if self._child is not None and self._child.poll() is None:
            # Without an exit code Python warns about a child that still runs.
            self._child.returncode = 0
        self._child = self._process = None

    def _find_process(self) -> psutil.Process | None:
        if self._process is not None and is_alive(self._process):
            return self._process
        self._process = find_by_command(self.program, str(self.data))
        return self._process

    def _launch(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._check_retry(self._read_new_log())
        try:
            self._prepare()
            self._child = self._popen(self.program, self.data, self._arguments())
        except OSError as error:
            raise self._error(f"can't be started ({error})") from error
        self._process = psutil.Process(self._child.pid)

    def _prepare(self) -> None:
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        self._prepare_data()
        if os.geteuid() == 0:
            owner = self.data.stat()
            os.chown(self.socket_dir, owner.st_uid, owner.st_gid)

    def _create_data_folder(self, folder: Path) -> None:
        """Create a data folder that belongs to the user the server runs as."""
        folder.mkdir(mode=0o700, exist_ok=True)
        give_to_nobody(folder)

    def _check_retry(self, output: str) -> None:
        """Raise, unless a start that failed with `output` should be retried."""
        raise self._error("did not start")

    def _popen(self, program: str, data: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
        path = self._program_folder() / program
        launcher = find_launcher(path, data, self.socket_dir)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            return launcher.start([str(path), *arguments], log)

    def _package_folder(self) -> Path:
        """Return the folder of the wheel's package, without importing it."""
        spec = find_spec(self.wheel.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            raise LocalServiceError(
                f"{self.variable} is not set and the wheel {self.wheel} is not installed. Run"
                f" `pip install -r requirements/dev.txt`, or set {self.variable}."
            )
        return Path(spec.submodule_search_locations[0])

    def _read_new_log(self) -> str:
        """Return what was logged since the last start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _error(self, what: str) -> LocalServiceError:
        tail = "\n".join(self._read_new_log().splitlines()[-12:])
        return LocalServiceError(
            f"The local {self.name} {what}. To use another server, set {self.variable}."
            f" The end of {self.log}:\n{tail or '(nothing)'}"
        )
