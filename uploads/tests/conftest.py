from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from accounts.models import Company, User
from uploads.models import Cycle, Project, Session
from uploads.tests.factories import CycleFactory, ProjectFactory, SessionFactory


@pytest.fixture
def project(company: Company) -> Project:
    return ProjectFactory(company=company, name="Glaciers")


@pytest.fixture
def cycle(project: Project) -> Cycle:
    return CycleFactory(project=project, number=1, prefix="2026/spring")


@pytest.fixture
def session(cycle: Cycle, owner: User) -> Session:
    return SessionFactory(cycle=cycle, user=owner)


@pytest.fixture
def client(as_user: Callable[[User], APIClient], owner: User) -> APIClient:
    return as_user(owner)


@pytest.fixture
def worker_client(as_user: Callable[[User], APIClient], worker_account: User) -> APIClient:
    return as_user(worker_account)


@pytest.fixture
def outsider_client(as_user: Callable[[User], APIClient], outsider: User) -> APIClient:
    return as_user(outsider)


@pytest.fixture
def errors() -> Callable[[Any], list[tuple[str, str]]]:
    """Return the (field, code) pairs of a 400 response."""

    def pairs(response: Any) -> list[tuple[str, str]]:
        assert response.status_code == 400, response.content
        return [(error["field"], error["code"]) for error in response.json()["errors"]]

    return pairs


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of moto's S3; it accepts wrong checksums, so tests compare contents."""
    moto = ThreadedMotoServer("127.0.0.1", 0)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def on_s3(settings: Any, s3_server: str) -> None:
    """Configure stores on S3, with buckets for acme and rival."""
    settings.UPLOAD_STORAGE = "s3"
    settings.S3_BUCKETS = {"acme": ["field-data", "no-such-bucket"], "rival": ["rivals"]}
    settings.STORAGES = settings.STORAGES | {
        "uploads": {
            "BACKEND": "uploads.transfer.stores.s3.S3Store",
            "OPTIONS": {
                "endpoint_url": s3_server,
                "region_name": "us-east-1",
                "access_key": "key",
                "secret_key": "secret",
            },
        }
    }
