from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Role, User
from accounts.tests.factories import PASSWORD

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


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_username_can_be_changed(as_user: Any, owner: User, method: str, api: Any) -> None:
    body = {"username": "\uff2flive.2"}
    response = getattr(as_user(owner), method)("/api/v1/profile/me", body)
    assert (response.status_code, response.json()["username"]) == (200, "Olive.2")
    for name, status in (("olive.2", 200), ("owner", 401)):
        login = {"username": name, "password": PASSWORD}
        assert api.post("/api/v1/auth/login", login).status_code == status


@pytest.mark.parametrize("url", ["/api/v1/profile/me", "/api/v1/users/{}"])
@pytest.mark.parametrize(
    ("username", "code"),
    [
        ("Colleague", "unique"),
        ("", "blank"),
        (None, "null"),
        ("a b", "invalid"),
        ("a@b.org", "invalid"),
        ("x" * 151, "max_length"),
        ("x" * 300, "max_length"),
    ],
)
def test_an_invalid_username_is_refused(
    as_user: Any, owner: User, colleague: User, url: str, username: Any, code: str
) -> None:
    response = as_user(owner).patch(url.format(owner.pk), {"username": username})
    assert response.status_code == 400
    errors = [(error["field"], error["code"]) for error in response.json()["errors"]]
    assert errors == [("username", code)]


def test_the_own_username_is_not_taken(as_user: Any, owner: User) -> None:
    response = as_user(owner).patch("/api/v1/profile/me", {"username": "OWNER"})
    assert (response.status_code, response.json()["username"]) == (200, "OWNER")
