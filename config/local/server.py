"""What the two local servers have in common: found, started, awaited and stopped alike."""

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

from config.local.locks import TICK, LocalServiceError
from config.local.paths import Places
from config.local.privileges import hand_over, way_to_run
from config.local.processes import alive, find_by_command, send, wait_gone

START_PATIENCE = 60.0


class Server(ABC):
    """One server of this clone: data in `root/<key>`, a socket in `sockets/<key>`, a log."""

    name: ClassVar[str]
    key: ClassVar[str]
    program: ClassVar[str]
    wheel: ClassVar[str]
    variable: ClassVar[str]
    # Each signal with the seconds that it is given, from the most polite on.
    stop_signals: ClassVar[list[tuple[signal.Signals, float]]]

    def __init__(self, places: Places) -> None:
        self.places = places
        self.data = places.root / self.key
        self.log = places.logs / f"{self.key}.log"
        self.socket_dir = places.sockets / self.key
        self._process: psutil.Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server takes commands now; waits a few seconds at most."""

    @abstractmethod
    def _make_data(self) -> None:
        """Make what must be there before a start; most often there is nothing to do."""

    @abstractmethod
    def _arguments(self) -> list[str]:
        """For a server in the foreground; the data folder must be one of them."""

    @abstractmethod
    def _programs(self) -> Path:
        """The folder with the wheel's programs."""

    def start(self) -> None:
        """Return when the server answers: started here, or by another, or left by a dead one."""
        deadline = time.monotonic() + START_PATIENCE
        while not self.answers():
            if self._find() is None:
                self._launch()
            elif not self.data.exists():
                # It serves a folder that was removed below it, with a clone at this very place.
                self.stop()
            if time.monotonic() > deadline:
                raise self._error(f"does not answer after {START_PATIENCE:.0f} seconds")
            time.sleep(TICK)

    def is_running(self) -> bool:
        """Whether there is a process, answering or not, whoever started it."""
        return self._find() is not None

    def stop(self) -> None:
        """Stop the server, whoever started it, and wait until it is gone."""
        process = self._find()
        for signum, patience in self.stop_signals if process else []:
            send(process, signum)
            if not wait_gone([process], patience):
                break
        self.abandon()

    def abandon(self) -> None:
        """Leave the server to its other users, or collect it if it has ended."""
        if self._child is not None and self._child.poll() is None:
            # Else Python would warn of a forgotten child, and others do use it.
            self._child.returncode = 0
        self._child = self._process = None

    def _find(self) -> psutil.Process | None:
        if self._process is not None and alive(self._process):
            return self._process
        self._process = find_by_command(self.program, str(self.data))
        return self._process

    def _launch(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._check_retry(self._new_log())
        try:
            self._prepare()
            self._child = self._popen(self.program, self.data, self._arguments())
        except OSError as error:
            raise self._error(f"cannot be started ({error})") from error
        self._process = psutil.Process(self._child.pid)

    def _prepare(self) -> None:
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        self._make_data()
        if os.geteuid() == 0:
            owner = self.data.stat()
            os.chown(self.socket_dir, owner.st_uid, owner.st_gid)

    def _own_folder(self, folder: Path) -> None:
        """Make a folder for data, if need be, for the user whom the server runs as."""
        folder.mkdir(mode=0o700, exist_ok=True)
        hand_over(folder)

    def _check_retry(self, output: str) -> None:
        """Raise, unless a start that ended with `output` is worth another."""
        raise self._error("did not start")

    def _popen(self, program: str, data: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
        path = self._programs() / program
        way = way_to_run(path, data, self.socket_dir)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            return way.start([str(path), *arguments], log)

    def _package(self) -> Path:
        """Where the wheel's package is, without importing it."""
        spec = find_spec(self.wheel.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            raise LocalServiceError(
                f"{self.variable} is not set and the wheel {self.wheel} is not installed. Run"
                f" `pip install -r requirements/dev.txt`, or set {self.variable}."
            )
        return Path(spec.submodule_search_locations[0])

    def _new_log(self) -> str:
        """What was logged since the last start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _error(self, what: str) -> LocalServiceError:
        tail = "\n".join(self._new_log().splitlines()[-12:])
        return LocalServiceError(
            f"The local {self.name} {what}. To use another server, set {self.variable}."
            f" The end of {self.log}:\n{tail or '(nothing)'}"
        )
