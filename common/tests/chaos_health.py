"""`/ready` names the service that is unavailable, soon and only while it is unavailable."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from common import heartbeats
from common.tests.support.broker import Broker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as broker:
        yield broker


def get_checks(client: Client) -> dict[str, str]:
    started = time.monotonic()
    response = client.get("/ready")
    assert time.monotonic() - started < 2.5
    body = response.json()
    failed = [name for name, result in body["checks"].items() if result != "ok"]
    assert response.status_code == (503 if failed else 200)
    assert all(name in body.get("detail", "") for name in failed)
    assert (response.get("Retry-After") is not None) == bool(failed)
    return body["checks"]


def wait_for_checks(client: Client, **expected: str) -> None:
    """Wait until the checks are as expected, for a few seconds at most."""
    deadline = time.monotonic() + 8
    while not expected.items() <= get_checks(client).items():
        assert time.monotonic() < deadline, get_checks(client)
        time.sleep(0.1)


def test_a_broker_that_dies_and_restarts(client: Client, broker: Broker) -> None:
    broker.kill()
    assert get_checks(client)["broker"] == "unavailable"
    broker.start()
    wait_for_checks(client, broker="ok")


def test_an_unavailable_cache(client: Client, settings: Any, unused_port: int) -> None:
    location = f"redis://127.0.0.1:{unused_port}/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    assert get_checks(client)["cache"] == "unavailable"


def test_health_does_not_depend_on_other_services(client: Client, broker: Broker) -> None:
    broker.kill()
    assert client.get("/health").json() == {"status": "ok"}


def test_all_checks_also_name_beat_and_the_live_stream(client: Client, broker: Broker) -> None:
    cache.clear()
    heartbeats.beat(heartbeats.LIVE, lifetime_s=5)
    checks = client.get("/ready?all=1").json()["checks"]
    assert list(checks) == ["database", "cache", "broker", "worker", "beat", "live"]
    assert (checks["beat"], checks["live"]) == ("unavailable", "ok")
