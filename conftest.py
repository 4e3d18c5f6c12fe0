"""The named people of the tests, their clients, and a real worker.

Everybody but the outsider belongs to one company: an `owner` of rows, a `colleague` with the same
role, the `admin`, a machine (`worker_account`). The `superuser` runs the installation.
"""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts.models import Company, Role, User
from accounts.tests.factories import CompanyFactory, UserFactory


def pytest_configure(config: pytest.Config) -> None:
    """Start the suite's servers; the last process of the suite stops them."""
    from config.settings import local

    local.__enter__()
    config.add_cleanup(lambda: local.__exit__(None, None, None))


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
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
    """An admin, but of another company."""
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
    """Somebody who has not signed in; errors come as responses, as a real client gets them."""
    return APIClient(raise_request_exception=False)


@pytest.fixture
def as_user(db: None) -> Callable[[User], APIClient]:
    """Clients that carry a real access token: `as_user(owner).get(...)`."""
    from django.test import RequestFactory

    from accounts.tokens import AccessToken, start_login

    def client_of(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        login = start_login(user, RequestFactory().get("/"))
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_login(login)}")
        return client

    return client_of


@pytest.fixture
def queries(django_assert_num_queries: Any) -> Callable[[Callable[[], Any]], int]:
    """Count the queries of a call."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def count(call: Callable[[], Any]) -> int:
        with CaptureQueriesContext(connection) as captured:
            call()
        return len(captured)

    return count


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
