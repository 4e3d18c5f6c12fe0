"""File locks that the kernel releases when their holder dies."""

from __future__ import annotations

import fcntl
import os
import signal
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_INTERVAL_S = 0.03


class LocalServiceError(Exception):
    """A local server or the runner can't continue; the message says why and what to do."""


class FileLock:
    """A flock on `path`, held until it is released or the process ends.

    docs/adr/0007-own-file-locks.md says why this is not the `filelock` package.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self, *, shared: bool = False, timeout: float = 0.0) -> bool:
        """Acquire the lock, or convert a held one; return False after `timeout` seconds.

        A failed conversion may have lost the lock: flock releases it before acquiring it again.
        """
        deadline = time.monotonic() + timeout
        while not self._try_acquire(fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_INTERVAL_S)
        return True

    def _try_acquire(self, kind: int) -> bool:
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
                f"{self.path} can't be opened: {error.strerror}. Run as the user whose clone"
                " this is; if another user has run Bureau in it, remove its var folder."
            ) from error
        _open_locks.add(self)
        return fd

    def release(self) -> None:
        """Release the lock, even where a forked child still shares it."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.close()

    def close(self) -> None:
        """Close the file without unlocking: in a forked child the lock stays the parent's."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


_open_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _close_locks() -> None:
    for lock in list(_open_locks):
        lock.close()


# A forked child (a Celery pool process) shares its parent's locks. It closes them, as it could
# outlive the parent and prevent the servers from being stopped.
os.register_at_fork(after_in_child=_close_locks)


@contextmanager
def ignore_sigint() -> Iterator[None]:
    """Ignore Ctrl-C while servers stop: a second one must not leave them running."""
    try:
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread; Ctrl-C reaches only that one
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
