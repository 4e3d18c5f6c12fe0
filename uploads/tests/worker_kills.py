"""A session whose worker is killed again and again."""

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
from uploads.tests.file_trees import contents, inodes

ENDED = (Session.Status.COMPLETED, Session.Status.PARTIAL, Session.Status.FAILED)


def finish_through_kills(
    session: Session, worker: Worker, source: Path, target: Path, *, at_most: int, within: float
) -> int:
    """Run a session to its end, killing who runs it at random moments; returns how often.

    Half of the times one of its helpers, if there are any, is killed before.
    within: seconds after a claim in which a kill comes.
    Each object that was there when a kill came has to be the same to the end.
    """
    there: dict[str, int] = {}
    kills, last_run = 0, None
    session.start()
    while kills < at_most:
        eventually(lambda last_run=last_run: has_moved(session, last_run), "it is claimed or over")
        if session.status in ENDED:
            break
        last_run = session.run_id
        time.sleep(random.uniform(0, within))
        helpers = [helper for child in worker.children for helper in child.children()]
        if helpers and random.random() < 0.5:
            kill(random.globs(helpers))
            kills += 1
            time.sleep(random.uniform(0, within))
        worker.signal_children(signal.SIGKILL)
        kills += 1
        eventually(lambda helpers=helpers: not any(map(lives, helpers)), "helpers end with it")
        there |= inodes(target)
        # Nobody waits for the lease.
        mine = Session.objects.filter(pk=session.pk, run_id=last_run, lease_until__isnull=False)
        mine.update(lease_until=Now() - timedelta(seconds=1))
    eventually(
        lambda: has_moved(session, None) and session.status in ENDED, "it is over", within=120
    )
    known = contents(source)
    assert (session.status, session.error) == (Session.Status.COMPLETED, "")
    assert (session.files_uploaded, session.files_skipped) == (len(known), 0)
    assert session.files.counters().items() <= vars(session).items()
    assert dict(session.files.values_list("path", "sha256")) == known == contents(target)
    assert there.items() <= inodes(target).items(), "something was sent twice"
    return kills


def kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_moved(session: Session, last_run: object) -> bool:
    """Whether another run has claimed it, or it has ended."""
    session.refresh_from_db()
    return session.status in ENDED or (
        session.status == Session.Status.IN_PROGRESS and session.run_id != last_run
    )


def leftovers(root: Path) -> list[Path]:
    return [path for path in (root / ".incoming").rglob("*") if path.is_file()]
