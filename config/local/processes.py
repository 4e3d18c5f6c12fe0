"""Finding and ending processes, never one that merely has a former process's pid."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import PurePath

import psutil

from config.local.locks import TICK


def alive(process: psutil.Process) -> bool:
    """Whether it runs. A zombie does not, whoever has still to collect it."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def find_by_command(program: str, argument: str) -> psutil.Process | None:
    """The process that runs `program` with `argument`; of several, the first that started.

    A pid file would not do: its pid may belong to another process by now.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = process.cmdline()
            if argument in words and any(PurePath(word).name == program for word in words):
                found.append((process.create_time(), process.pid, process))
    return min(found)[2] if found else None


def find_by_environment(name: str, value: str) -> list[psutil.Process]:
    """Every process but this one and its ancestors that was started with `name`=`value`."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid not in mine and process.environ().get(name) == value:
                found.append(process)
    return found


def with_children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_gone(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Wait until all have ended; the ones that live on after `patience` seconds."""
    deadline = time.monotonic() + patience
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(TICK)
        left = [process for process in left if alive(process)]
    return left


def send(process: psutil.Process, signum: int) -> None:
    """Signal the process unless it has ended; psutil checks that its pid is still its own."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signum)


def end(processes: list[psutil.Process], patience: float) -> None:
    """Ask the processes to end, and kill those that have not after `patience` seconds."""
    for process in processes:
        send(process, signal.SIGTERM)
    left = wait_gone(processes, patience)
    for process in left:
        send(process, signal.SIGKILL)
    wait_gone(left, patience)
