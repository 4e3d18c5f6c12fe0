"""Running a session while its worker is killed again and again."""

import random
import signal
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
from django.db.models.functions import Now

from common.tests.support import Worker, eventually
from uploads.models import Session
from uploads.tests.file_trees import checksums, inodes

ENDED = (Session.Status.COMPLETED, Session.Status.PARTIAL, Session.Status.FAILED)


def run_with_kills(
    session: Session,
    worker: Worker,
    source: Path,
    target: Path,
    *,
    max_kills: int,
    max_delay_s: float,
) -> int:
    """Run a session, kill its processes at random times, and return the number of kills.

    `max_delay_s` is the longest time between a claim and a kill. An object that exists at the time
    of a kill must not be written again.
    """
    inodes_at_kills: dict[str, int] = {}
    kills, last_run_id = 0, None
    session.start()
    while kills < max_kills:
        eventually(
            lambda last_run_id=last_run_id: has_new_run_or_ended(session, last_run_id),
            "the session is claimed or has ended",
        )
        if session.status in ENDED:
            break
        last_run_id = session.run_id
        kills += kill_processes(worker, max_delay_s)
        inodes_at_kills |= inodes(target)
        expire_lease(session, last_run_id)
    eventually(
        lambda: has_new_run_or_ended(session, None) and session.status in ENDED,
        "the session has ended",
        within=120,
    )
    assert_all_files_are_uploaded(session, source, target)
    assert inodes_at_kills.items() <= inodes(target).items(), "an object was written twice"
    return kills


def kill_processes(worker: Worker, max_delay_s: float) -> int:
    """Kill the worker, and in half of the calls a copy worker before it; return the kills."""
    kills = 1
    time.sleep(random.uniform(0, max_delay_s))
    copy_workers = [process for child in worker.children for process in child.children()]
    if copy_workers and random.random() < 0.5:
        kill(random.choice(copy_workers))
        kills += 1
        time.sleep(random.uniform(0, max_delay_s))
    worker.signal_children(signal.SIGKILL)
    eventually(
        lambda: not any(map(is_running, copy_workers)),
        "the copy workers end with their parent",
    )
    return kills


def assert_all_files_are_uploaded(session: Session, source: Path, target: Path) -> None:
    expected = checksums(source)
    assert (session.status, session.error) == (Session.Status.COMPLETED, "")
    assert (session.files_uploaded, session.files_skipped) == (len(expected), 0)
    assert session.files.counters() == session.counters
    assert dict(session.files.values_list("path", "sha256")) == expected == checksums(target)


def expire_lease(session: Session, run_id: object) -> None:
    """End the lease of a killed run now, so that the next run need not wait for it."""
    runs = Session.objects.filter(pk=session.pk, run_id=run_id, lease_until__isnull=False)
    runs.update(lease_until=Now() - timedelta(seconds=1))


def kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_new_run_or_ended(session: Session, last_run_id: object) -> bool:
    session.refresh_from_db()
    return session.status in ENDED or (
        session.status == Session.Status.IN_PROGRESS and session.run_id != last_run_id
    )


def staged_files(root: Path) -> list[Path]:
    return [path for path in (root / ".incoming").rglob("*") if path.is_file()]
