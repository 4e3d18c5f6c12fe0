"""Sessions on real workers that are killed; `chaos.py` is the long form."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from common.tests.support import Beat, Broker, Worker
from config.local import LocalServices
from uploads.models import Cycle
from uploads.tests.factories import SessionFactory
from uploads.tests.worker_kills import finish_through_kills, leftovers
from uploads.tests.file_trees import grow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Broker]:
    with Broker(lambda: LocalServices(folder, postgres=False)) as broker:
        yield broker


@pytest.fixture(scope="module")
def worker(django_db_setup: None, django_db_blocker: Any, broker: Broker, folder: Path) -> Any:
    environment = {
        "UPLOAD_SOURCE_ROOT": str(folder / "sources"),
        "UPLOAD_ROOT": str(folder / "uploads"),
    }
    with (
        django_db_blocker.unblock(),
        Beat(broker.url, folder),
        Worker(broker.url, folder, concurrency=1, environment=environment) as worker,
    ):
        yield worker


def test_killed_at_any_moment_each_file_arrives_once_and_whole(
    worker: Worker, folder: Path, cycle: Cycle, owner: User
) -> None:
    source, root = folder / "sources" / "acme" / "day-1", folder / "uploads"
    grow(source, 80, largest=1_000_000)
    session = SessionFactory(cycle=cycle, user=owner, max_workers=2)
    target = root / "acme" / "field-data"
    kills = finish_through_kills(session, worker, source, target, at_most=2, within=0.2)
    assert kills
    assert leftovers(root) == []
