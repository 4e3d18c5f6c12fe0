"""One password hash at a time in each process.

A hash takes about as long as ten other requests. Without a limit a flood of logins occupies all
threads of the server, so that every other request waits.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.api.exceptions import ServiceUnavailable

# With one thread that hashes, one of the server's four threads (`WEB_THREADS`) stays free.
MAX_WAITING_THREADS = 2
MAX_WAIT_S = 1.0
# The thread that hashes may enter again: a login can need several hashes.
_lock = threading.RLock()
queue_slots = threading.BoundedSemaphore(MAX_WAITING_THREADS)


@contextmanager
def hashing_slot() -> Iterator[None]:
    """Hold the process's only slot for hashing; raise `ServiceUnavailable` if others wait too.

    Enter it before the queries that lead to the hash, so that refusals are cheap. Don't wait for it
    with rows locked: the thread in the slot could wait for them.
    """
    if not (_lock.acquire(blocking=False) or _wait_for_lock()):
        raise ServiceUnavailable(
            "Too many passwords are being checked at once. Try again in a few seconds.",
            code="busy",
        )
    try:
        yield
    finally:
        _lock.release()


def _wait_for_lock() -> bool:
    if not queue_slots.acquire(blocking=False):
        return False
    try:
        return _lock.acquire(timeout=MAX_WAIT_S)
    finally:
        queue_slots.release()
