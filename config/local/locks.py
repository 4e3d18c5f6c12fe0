"""Locks that the kernel gives up when their holder dies, and a shield against Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import signal
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICK = 0.03


class LocalServiceError(Exception):
    """A local server or the runner cannot go on; the text says why and what to do."""


class FileLock:
    """A flock on `path`, held until released or until the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self, *, shared: bool = False, patience: float = 0.0) -> bool:
        """Take the lock, or change its kind while holding it; False after `patience` seconds.

        A change that fails may have lost the lock: flock lets go before it takes again.
        """
        deadline = time.monotonic() + patience
        while not self._try(fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                return False
            time.sleep(TICK)
        return True

    def _try(self, kind: int) -> bool:
        fd = self._open() if self._fd is None else self._fd
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _open(self) -> int:
        try:
            fd = self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LocalServiceError(
                f"{self.path} cannot be opened: {error.strerror}. Run as the user whose clone"
                " this is; if another user has run Bureau in it, remove its var folder."
            ) from error
        _open_locks.add(self)
        return fd

    def release(self) -> None:
        """Give the lock up, even if a child was forked with it and has not yet exec'ed."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """Close without unlocking: in a forked child the lock stays the parent's."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


_open_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_locks() -> None:
    for lock in list(_open_locks):
        lock.forget()


# A forked child (a Celery pool process) shares its parent's locks. It could outlive the parent
# and keep the servers from ever being stopped, so it closes them.
os.register_at_fork(after_in_child=_forget_locks)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C off while servers stop: a second one must not leave them running."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread, the only one that Ctrl-C reaches
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
