"""Fixtures of all tests: named users and their API clients.

One company has an `owner` of rows, a `colleague` with the same role, an `admin`, and an account for
a program (`worker_account`). The `outsider` and the `superuser` each belong to another company.
"""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import Max
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Company, Role, User
from accounts.tests.factories import CompanyFactory, UserFactory
from accounts.tokens import AccessToken
from common import ai
from common.events.models import Event
from common.tests.support import Beat, Broker
from common.tests.support.ai_provider import FakeProvider
from common.tests.support.events import RecordedEvents


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers of the test suite; its last process stops them."""
    from config.settings import local

    local.__enter__()
    config.add_cleanup(lambda: local.__exit__(None, None, None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need no database and are not slow as `unit`, for `make fast`."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        uses_database = fixtures & {"db", "transactional_db"} or item.get_closest_marker(
            "django_db"
        )
        if not uses_database and not item.get_closest_marker("slow"):
            item.add_marker("unit")


@pytest.fixture(autouse=True)
def _clear_cache() -> Iterator[None]:
    yield
    cache.clear()


@pytest.fixture
def company(db: None) -> Company:
    return CompanyFactory(name="Acme", code="acme")


@pytest.fixture
def owner(company: Company) -> User:
    return UserFactory(company=company, username="owner")


@pytest.fixture
def colleague(company: Company) -> User:
    return UserFactory(company=company, username="colleague")


@pytest.fixture
def admin(company: Company) -> User:
    return UserFactory(company=company, username="admin", role=Role.ADMIN)


@pytest.fixture
def worker_account(company: Company) -> User:
    return UserFactory(company=company, username="machine", role=Role.WORKER)


@pytest.fixture
def outsider(db: None) -> User:
    """The admin of another company."""
    company = CompanyFactory(name="Rival", code="rival")
    return UserFactory(company=company, username="outsider", role=Role.ADMIN)


@pytest.fixture
def superuser(db: None) -> User:
    company = CompanyFactory(name="House", code="house")
    return UserFactory(
        company=company, username="super", role=Role.ADMIN, is_superuser=True, is_staff=True
    )


@pytest.fixture
def api() -> APIClient:
    """An unauthenticated client; exceptions become error responses."""
    return APIClient(raise_request_exception=False)


@pytest.fixture
def as_user(db: None) -> Callable[[User], APIClient]:
    """Return a client with an access token of the user: `as_user(owner).get(...)`."""

    def log_in(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        login = services.start_login(user, request=RequestFactory().get("/"))
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_login(login)}")
        return client

    return log_in


@pytest.fixture
def count_queries() -> Callable[[Callable[[], Any]], int]:
    """Count the queries of a call: `count_queries(lambda: ...) == 1`."""

    def count(call: Callable[[], Any]) -> int:
        with CaptureQueriesContext(connection) as captured:
            call()
        return len(captured)

    return count


@pytest.fixture
def recorded_events(db: None) -> RecordedEvents:
    """Call a function and return the action, actor and target id of each event it records."""

    def record(call: Callable[[], Any]) -> list[tuple[str, str, str]]:
        last = Event.objects.aggregate(last=Max("sequence", default=0))["last"]
        call()
        events = Event.objects.filter(sequence__gt=last).order_by("sequence")
        return [(e.action, str(e.actor_id or e.actor_type), e.target_id) for e in events]

    return record


@pytest.fixture
def provider(settings: Any) -> Iterator[FakeProvider]:
    """An AI provider for what is written in this process."""
    with FakeProvider() as provider:
        settings.OPENAI = settings.OPENAI | {
            "api_key": "sk-test",
            "base_url": provider.url,
            "model": "gpt-4o-mini",
            "wait_initial": 0.01,
            "wait_jitter": 0.01,
        }
        _forget_models()
        yield provider
    _forget_models()


def _forget_models() -> None:
    ai.summarizer.cache_clear()
    ai.writer.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the module's broker, beat and workers."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Broker]:
    with Broker(folder) as broker:
        yield broker


@pytest.fixture(scope="module")
def beat(
    django_db_setup: None, django_db_blocker: Any, broker: Broker, folder: Path
) -> Iterator[Beat]:
    with django_db_blocker.unblock(), Beat(broker.url, folder) as beat:
        yield beat


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
