"""Where the figures of several processes are kept: prometheus-client's files, one set a slot.

That library names its files by process id. A counter of a dead process then has to stay where it
is, or sums would fall, and the files of each restart are kept for ever. Here a process takes the
lowest slot that no living one holds and goes on counting in its files: so there are never more
files than there were processes at once, and no sum ever falls.
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
_lock = -1


def prepare() -> None:
    """Let all values that are made from here on be shared, where there is a folder for that."""
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(FOLDER)
        values.ValueClass = values.MultiProcessValue(_my_slot)
    except OSError as error:
        values.ValueClass = values.MutexValue
        log.warning("metrics_not_shared", folder=str(FOLDER), error=redacted_message(error))
    else:
        os.register_at_fork(after_in_child=_leave_slot)


def is_shared() -> bool:
    """Whether the figures of several processes meet."""
    return values.ValueClass is not values.MutexValue


def files() -> Iterator[str]:
    """All files with figures, without the gauges of processes that have died."""
    for file in sorted(FOLDER.glob("*.db")):
        kind, _, slot = file.stem.rpartition("_")
        if not kind.startswith("gauge_live") or not _is_free(slot):
            yield str(file)


def _my_slot() -> str:
    """Called by prometheus-client before each write, under a lock of its own."""
    return _slot or _take_slot()


def _take_slot() -> str:
    global _slot, _lock
    number = 0
    while (lock := _locked(str(number))) is None:
        number += 1
    _slot, _lock = str(number), lock
    return _slot


def _locked(slot: str) -> int | None:
    lock = os.open(FOLDER / f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_free(slot: str) -> bool:
    with suppress(FileNotFoundError), open(FOLDER / f"{slot}.lock", "rb") as lock:
        try:
            # Shared, so that two who look at once don't take each other for the owner.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _leave_slot() -> None:
    """A forked child has its parent's lock in hand, but the slot is the parent's."""
    global _slot, _lock
    if _slot:
        os.close(_lock)
    _slot, _lock = "", -1
