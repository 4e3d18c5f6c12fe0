from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Login, User

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/sessions"


def test_lists_ones_own_open_logins(as_user: Any, owner: User, admin: User) -> None:
    as_user(admin)
    as_user(owner)
    client = as_user(owner)
    items = client.get(URL).json()["items"]
    assert [item["current"] for item in items] == [True, False]
    assert {"id", "ip_address", "user_agent", "last_used_at", "expires_at"} <= set(items[0])


def test_ends_one(as_user: Any, owner: User) -> None:
    other, client = as_user(owner), as_user(owner)
    other_id = client.get(URL).json()["items"][1]["id"]
    assert client.delete(f"{URL}/{other_id}").status_code == 204
    assert other.get("/api/v1/auth/me").status_code == 401
    assert client.get(URL).json()["total"] == 1
    assert client.get(f"{URL}/{other_id}").status_code == 404


def test_ends_all(as_user: Any, owner: User) -> None:
    clients = [as_user(owner) for _ in range(3)]
    assert clients[0].delete(URL).status_code == 204
    assert [client.get("/api/v1/auth/me").status_code for client in clients] == [401] * 3


@pytest.mark.parametrize("who", ["admin", "outsider", "superuser"])
def test_nobody_elses(as_user: Any, owner: User, who: str, request: pytest.FixtureRequest) -> None:
    theirs = as_user(owner)
    login = Login.objects.get(user=owner)
    client = as_user(request.getfixturevalue(who))
    assert client.get(f"{URL}/{login.pk}").status_code == 404
    assert client.delete(f"{URL}/{login.pk}").status_code == 404
    assert theirs.get("/api/v1/auth/me").status_code == 200


def test_stranger(api: APIClient) -> None:
    assert api.get(URL).status_code == 401
    assert api.delete(URL).status_code == 401


def test_query_count(as_user: Any, owner: User, queries: Any) -> None:
    client = as_user(owner)
    few = queries(lambda: client.get(URL, {"page_size": 100}))
    for _ in range(30):
        as_user(owner)
    assert queries(lambda: client.get(URL, {"page_size": 100})) == few
