"""Share values between the processes of one machine, in prometheus-client's files.

That library names the files by process id. Because a counter must never decrease, it keeps the
files of all dead processes, and each restart adds more. Here a process takes the lowest slot that
no living process has locked, and continues the counters in the files of that slot. So there are
never more files than there were processes at the same time.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog
from django.conf import settings
from prometheus_client import values

from common.redaction import redacted_message

log = structlog.get_logger(__name__)

FOLDER: Path = settings.METRICS_DIR

_slot = ""
_lock_fd = -1


def enable() -> None:
    """Share all values declared from here on, if the folder can be written."""
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(FOLDER)
        values.ValueClass = values.MultiProcessValue(_current_slot)
    except OSError as error:
        values.ValueClass = values.MutexValue
        log.warning("metrics_not_shared", folder=str(FOLDER), error=redacted_message(error))
    else:
        os.register_at_fork(after_in_child=_leave_slot)


def is_shared() -> bool:
    """Return whether the values of all processes are stored in one folder."""
    return values.ValueClass is not values.MutexValue


def files() -> Iterator[str]:
    """Return all files with values, except the gauges of dead processes."""
    for file in sorted(FOLDER.glob("*.db")):
        kind, _, slot = file.stem.rpartition("_")
        if not kind.startswith("gauge_live") or not _is_free(slot):
            yield str(file)


def _current_slot() -> str:
    """Return this process's slot; prometheus-client calls it before each write, under a lock."""
    return _slot or _take_slot()


def _take_slot() -> str:
    global _slot, _lock_fd
    number = 0
    while (lock_fd := _try_lock(str(number))) is None:
        number += 1
    _slot, _lock_fd = str(number), lock_fd
    return _slot


def _try_lock(slot: str) -> int | None:
    lock_fd = os.open(FOLDER / f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock_fd)
        return None
    return lock_fd


def _is_free(slot: str) -> bool:
    with suppress(FileNotFoundError), open(FOLDER / f"{slot}.lock", "rb") as lock:
        try:
            # A shared lock, so that two scrapes at the same time do not block each other.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _leave_slot() -> None:
    """Give up the slot in a forked child: it inherited the lock, but the slot is its parent's."""
    global _slot, _lock_fd
    if _slot:
        os.close(_lock_fd)
    _slot, _lock_fd = "", -1
