"""Run several processes in one terminal and leave none behind."""

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

from config.local.processes import (
    find_by_environment,
    find_by_session,
    send_signal,
    terminate,
    wait_for_exit,
)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MARKER_VARIABLE = "BUREAU_RUN"
TERMINATE_TIMEOUT_S = 6.0
KILL_TIMEOUT_S = 2.0
MAX_KILL_ROUNDS = 5


def raise_interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt, once, on Ctrl-C, SIGTERM and when the terminal closes."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, _interrupt)


def _interrupt(signum: int, frame: object) -> None:
    ignore_stop_signals()
    raise KeyboardInterrupt


def ignore_stop_signals() -> None:
    """Ignore further signals: stopping takes seconds and must not be interrupted."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def kill_marked_processes(mark: str) -> int:
    """End every process started with `mark` and return how many there were."""
    count = 0
    # A process may start a child while the others are being listed.
    for _ in range(MAX_KILL_ROUNDS):
        remaining = find_by_environment(MARKER_VARIABLE, mark)
        if not remaining:
            break
        terminate(remaining, timeout=KILL_TIMEOUT_S)
        count += len(remaining)
    return count


class ProcessManager:
    """Processes that are stopped, with their children, when the context ends.

    They are found by `mark` in their environment. honcho's own manager is not used: it never kills
    a process that ignores SIGTERM, loses track of its helpers when the terminal closes, and fails
    on a signal during the start.
    """

    def __init__(self, mark: str, environment: dict[str, str], folder: Path) -> None:
        self._mark = mark
        self._environment = {**environment, MARKER_VARIABLE: mark, "PYTHONUNBUFFERED": "1"}
        self._folder = folder
        self._commands: dict[str, str | list[str]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        self._new_colours: Iterator[str] = get_colours()
        self._colours: dict[str, str] = {}
        self._printer = Printer(sys.stdout, width=6)
        self._printing = threading.Lock()

    def __enter__(self) -> ProcessManager:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ignore_stop_signals()
        self.print("Stopping.")
        self._stop()

    def start(self, name: str, command: str | list[str]) -> None:
        """Start a process from a list of arguments, or from a shell command line."""
        self._commands[name] = command
        # A Procfile line may begin with assignments, which `env` accepts and `exec` does not.
        arguments = ["sh", "-c", f"exec env {command}"] if isinstance(command, str) else command
        process = self._processes[name] = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # only the runner receives the terminal's Ctrl-C
            cwd=self._folder,
            env=self._environment,
        )
        colour = self._colours.setdefault(name, next(self._new_colours))
        relay_arguments = (name, colour, process.stdout)
        self._readers.append(
            threading.Thread(target=self._relay_output, args=relay_arguments, daemon=True)
        )
        self._readers[-1].start()

    def run_in_terminal(self, arguments: list[str]) -> int:
        """Run a process that has the terminal, so that a debugger can be used in it."""
        environment = {**self._environment, "PYTHONBREAKPOINT": "config.local.dev.set_trace"}
        process = subprocess.Popen(arguments, cwd=self._folder, env=environment)
        return _exit_code(process.wait())

    def wait_for(self, name: str) -> int:
        """Wait for a process to end and return its exit code."""
        code = _exit_code(self._processes[name].wait())
        del self._processes[name]
        return code

    def collect_exits(self) -> list[tuple[str, int]]:
        """Return the names and exit codes of the processes that have ended since the last call.

        What they had started is ended too: it may hold a port that the next one needs.
        """
        ended = [(name, p) for name, p in self._processes.items() if p.poll() is not None]
        for name, process in ended:
            terminate(find_by_session(process.pid), timeout=KILL_TIMEOUT_S)
            del self._processes[name]
        return [(name, _exit_code(process.returncode)) for name, process in ended]

    def restart(self, name: str) -> None:
        """Start a process that has ended with the command it had."""
        self.start(name, self._commands[name])

    def print(self, text: str, name: str = "bureau", colour: str | None = None) -> None:
        """Print lines in the column of `name`; a closed terminal is not an error."""
        with self._printing, suppress(OSError):
            self._printer.write(Message("line", text, datetime.now(), name, colour))

    def _relay_output(self, name: str, colour: str, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self.print(line.decode(errors="replace"), name, colour)

    def _stop(self) -> None:
        """Stop the processes, which stop their own children, then kill what remains."""
        running = []
        for process in self._processes.values():
            if process.poll() is None:
                running.append(psutil.Process(process.pid))
                send_signal(running[-1], signal.SIGTERM)
        wait_for_exit(running, timeout=TERMINATE_TIMEOUT_S)
        kill_marked_processes(self._mark)
        for process in self._processes.values():
            process.poll()
        deadline = time.monotonic() + 1
        for reader in self._readers:
            reader.join(max(0.0, deadline - time.monotonic()))


def _exit_code(code: int) -> int:
    """Return the code as a shell does: 128 + N for a process killed by signal N."""
    return code if code >= 0 else 128 - code
