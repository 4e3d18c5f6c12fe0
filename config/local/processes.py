"""Find and end processes, without mistaking a reused pid for the process that had it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import PurePath

import psutil

from config.local.locks import POLL_INTERVAL_S


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def find_by_command(program: str, argument: str) -> psutil.Process | None:
    """Return the oldest process that runs `program` with `argument`.

    A pid file is not enough: its pid may belong to another process by now.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            arguments = process.cmdline()
            if argument in arguments and any(PurePath(word).name == program for word in arguments):
                found.append((process.create_time(), process.pid, process))
    return min(found)[2] if found else None


def find_by_environment(name: str, value: str) -> list[psutil.Process]:
    """Return the processes started with `name`=`value`, except this one and its ancestors."""
    own_pids = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid not in own_pids and process.environ().get(name) == value:
                found.append(process)
    return found


def find_by_session(session: int) -> list[psutil.Process]:
    """Return the live processes of a session, which may have outlived its leader."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session and is_alive(process):
                found.append(process)
    return found


def with_children(process: psutil.Process) -> list[psutil.Process]:
    """Return the process and its descendants."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_for_exit(processes: list[psutil.Process], *, timeout: float) -> list[psutil.Process]:
    """Wait for the processes to end and return those still alive after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    remaining = [process for process in processes if is_alive(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)
        remaining = [process for process in remaining if is_alive(process)]
    return remaining


def send_signal(process: psutil.Process, signum: int) -> None:
    """Signal the process unless it has ended; psutil checks that the pid was not reused."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signum)


def terminate(processes: list[psutil.Process], *, timeout: float) -> None:
    """Send SIGTERM to the processes, and SIGKILL to those still alive after `timeout` seconds."""
    for process in processes:
        send_signal(process, signal.SIGTERM)
    stubborn = wait_for_exit(processes, timeout=timeout)
    for process in stubborn:
        send_signal(process, signal.SIGKILL)
    wait_for_exit(stubborn, timeout=timeout)
