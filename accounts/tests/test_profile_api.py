from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Role, User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("url", ["/api/v1/auth/me", "/api/v1/profile/me"])
def test_shows_the_user_and_their_company(as_user: Any, owner: User, url: str) -> None:
    body = as_user(owner).get(url).json()
    assert body["id"] == str(owner.pk)
    assert body["company"] == {"id": str(owner.company_id), "code": "acme", "name": "Acme"}
    assert body["role"] == Role.AGENT
    assert body["last_login"] is None


def test_anonymous_requests_are_refused(api: APIClient) -> None:
    assert api.get("/api/v1/profile/me").status_code == 401


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_full_name_can_be_changed(as_user: Any, owner: User, method: str) -> None:
    client = as_user(owner)
    response = getattr(client, method)("/api/v1/profile/me", {"full_name": "Olive Owner"})
    assert (response.status_code, response.json()["full_name"]) == (200, "Olive Owner")


def test_read_only_fields_are_refused(as_user: Any, owner: User) -> None:
    client = as_user(owner)
    body = client.get("/api/v1/profile/me").json() | {"role": "admin", "is_active": False}
    errors = client.patch("/api/v1/profile/me", body).json()["errors"]
    assert [(e["field"], e["code"]) for e in errors] == [
        ("role", "read_only"),
        ("is_active", "read_only"),
    ]
    owner.refresh_from_db()
    assert (owner.role, owner.is_active) == (Role.AGENT, True)


def test_unknown_fields_are_refused(as_user: Any, owner: User) -> None:
    response = as_user(owner).patch("/api/v1/profile/me", {"is_superuser": True})
    assert response.status_code == 400
