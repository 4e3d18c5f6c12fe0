from collections.abc import Callable
from typing import Any

import pytest
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
def machine(as_user: Callable[[User], APIClient], worker_account: User) -> APIClient:
    return as_user(worker_account)


@pytest.fixture
def stranger(as_user: Callable[[User], APIClient], outsider: User) -> APIClient:
    return as_user(outsider)


@pytest.fixture
def errors() -> Callable[[Any], list[tuple[str, str]]]:
    """The fields and codes that a 400 names."""

    def of(response: Any) -> list[tuple[str, str]]:
        assert response.status_code == 400, response.content
        return [(error["field"], error["code"]) for error in response.json()["errors"]]

    return of
