"""Several processes in one terminal: their output side by side, none left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil
from honcho.colour import get_colours
from honcho.printer import Message, Printer

from config.local.processes import end, find_by_environment, send, wait_gone

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MARK = "BUREAU_RUN"
TERM_PATIENCE = 6.0
KILL_PATIENCE = 2.0
ROUNDS = 5


def stop_on_signal() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal raise KeyboardInterrupt, once."""
    for signum in SIGNALS:
        signal.signal(signum, _interrupt)


def _interrupt(signum: int, frame: object) -> None:
    ignore_signals()
    raise KeyboardInterrupt


def ignore_signals() -> None:
    """From here on all is being stopped, which takes seconds and must not be cut short."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def end_marked(mark: str) -> int:
    """End every process that carries `mark`; how many there were."""
    count = 0
    # More than once, as one may have started a child while the others were being counted.
    for _ in range(ROUNDS):
        left = find_by_environment(MARK, mark)
        if not left:
            break
        end(left, KILL_PATIENCE)
        count += len(left)
    return count


class Foreground:
    """Runs processes that carry `mark`; leaving the context stops them and their children.

    honcho's own manager is not used: it never kills a process that ignores SIGTERM, loses
    track of its helpers when the terminal closes, and fails on a signal during the start.
    """

    def __init__(self, mark: str, environment: dict[str, str], folder: Path) -> None:
        self._mark = mark
        self._environment = {**environment, MARK: mark, "PYTHONUNBUFFERED": "1"}
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        self._colours: Iterator[str] = get_colours()
        self._printer = Printer(sys.stdout, width=6)
        self._printing = threading.Lock()

    def __enter__(self) -> Foreground:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ignore_signals()
        self.say("Stopping.")
        self._stop()

    def start(self, name: str, command: str | list[str]) -> None:
        """Start a process: its words, or a line for the shell, which the program replaces."""
        # `env` takes the assignments that may precede the program, `exec` does not.
        words = ["sh", "-c", f"exec env {command}"] if isinstance(command, str) else command
        process = self._processes[name] = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the terminal's Ctrl-C is for the runner alone
            cwd=self._folder,
            env=self._environment,
        )
        relay = (name, next(self._colours), process.stdout)
        self._readers.append(threading.Thread(target=self._relay, args=relay, daemon=True))
        self._readers[-1].start()

    def wait_for(self, name: str) -> int:
        """The exit code of a process that is to end by itself."""
        code = _exit_code(self._processes[name].wait())
        del self._processes[name]
        return code

    def ended(self) -> tuple[str, int] | None:
        """The name and the exit code of a process that has ended, if one has."""
        for name, process in self._processes.items():
            if (code := process.poll()) is not None:
                return name, _exit_code(code)
        return None

    def say(self, text: str, name: str = "bureau", colour: str | None = None) -> None:
        """Print lines in `name`'s column; a terminal that was closed is no reason to fail."""
        with self._printing, suppress(OSError):
            self._printer.write(Message("line", text, datetime.now(), name, colour))

    def _relay(self, name: str, colour: str, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self.say(line.decode(errors="replace"), name, colour)

    def _stop(self) -> None:
        """The processes first, as they stop their children in good order, then the rest."""
        running = []
        for process in self._processes.values():
            if process.poll() is None:
                running.append(psutil.Process(process.pid))
                send(running[-1], signal.SIGTERM)
        wait_gone(running, TERM_PATIENCE)
        end_marked(self._mark)
        for process in self._processes.values():
            process.poll()
        deadline = time.monotonic() + 1
        for reader in self._readers:
            reader.join(max(0.0, deadline - time.monotonic()))


def _exit_code(code: int) -> int:
    """As a shell has it: a process that was killed by signal N ends with 128 + N."""
    return code if code >= 0 else 128 - code
