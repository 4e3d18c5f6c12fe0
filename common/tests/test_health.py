"""`/ready` names the part that is away, soon and only as long as it is."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from common.tests.support.broker import Broker
from common.tests.support.worker import Worker
from config.local import LocalServices

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(lambda: LocalServices(tmp_path, postgres=False)) as broker:
        yield broker


def parts(client: Client) -> dict[str, str]:
    started = time.monotonic()
    response = client.get("/ready")
    assert time.monotonic() - started < 2.5
    body = response.json()
    failed = [name for name, outcome in body["checks"].items() if outcome != "ok"]
    assert response.status_code == (503 if failed else 200)
    assert all(name in body.get("detail", "") for name in failed)
    assert (response.get("Retry-After") is not None) == bool(failed)
    return body["checks"]


def soon(client: Client, **expected: str) -> None:
    """Wait until the parts are as expected, within a few seconds."""
    deadline = time.monotonic() + 8
    while not expected.items() <= parts(client).items():
        assert time.monotonic() < deadline, parts(client)
        time.sleep(0.1)


def test_workers_that_go_and_come(client: Client, broker: Broker, tmp_path: Path) -> None:
    assert parts(client) == {"database": "ok", "cache": "ok", "broker": "ok", "worker": "away"}
    with Worker(broker.url, tmp_path) as worker:
        soon(client, worker="ok")
        worker.kill()
        soon(client, worker="away")


def test_a_broker_that_goes_and_comes(client: Client, broker: Broker) -> None:
    broker.kill()
    assert parts(client)["broker"] == "away"
    broker.start()
    soon(client, broker="ok")


def test_a_cache_that_is_away(client: Client, settings: Any, unused_port: int) -> None:
    place = f"redis://127.0.0.1:{unused_port}/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": place}}
    assert parts(client)["cache"] == "away"


def test_alive_needs_none_of_them(client: Client, broker: Broker) -> None:
    broker.kill()
    assert client.get("/health").json() == {"status": "ok"}
