"""A session on a real worker that is killed; `chaos.py` has the long versions."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from common.tests.support import Beat, Broker, Worker
from uploads.models import Cycle
from uploads.tests.factories import SessionFactory
from uploads.tests.file_trees import write_files
from uploads.tests.worker_kills import run_with_kills, staged_files

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def worker(
    django_db_setup: None, django_db_blocker: Any, broker: Broker, beat: Beat, folder: Path
) -> Any:
    environment = {
        "UPLOAD_SOURCE_ROOT": str(folder / "sources"),
        "UPLOAD_ROOT": str(folder / "uploads"),
    }
    with (
        django_db_blocker.unblock(),
        Worker(broker.url, folder, concurrency=1, environment=environment) as worker,
    ):
        yield worker


def test_a_killed_session_copies_each_file_completely_and_once(
    worker: Worker, folder: Path, cycle: Cycle, owner: User
) -> None:
    source, root = folder / "sources" / "acme" / "day-1", folder / "uploads"
    write_files(source, 80, max_bytes=1_000_000)
    session = SessionFactory(cycle=cycle, user=owner, max_workers=2)
    target = root / "acme" / "field-data"
    kills = run_with_kills(session, worker, source, target, max_kills=2, max_delay_s=0.2)
    assert kills
    assert staged_files(root) == []
