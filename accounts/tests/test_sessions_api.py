from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Login, User

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/sessions"


def test_lists_the_active_logins_of_the_user(as_user: Any, owner: User, admin: User) -> None:
    as_user(admin)
    as_user(owner)
    client = as_user(owner)
    items = client.get(URL).json()["items"]
    assert [item["current"] for item in items] == [True, False]
    assert {"id", "ip_address", "user_agent", "last_used_at", "expires_at"} <= set(items[0])


def test_delete_ends_one_login(as_user: Any, owner: User) -> None:
    other, client = as_user(owner), as_user(owner)
    other_id = client.get(URL).json()["items"][1]["id"]
    assert client.delete(f"{URL}/{other_id}").status_code == 204
    assert other.get("/api/v1/auth/me").status_code == 401
    assert client.get(URL).json()["total"] == 1
    assert client.get(f"{URL}/{other_id}").status_code == 404


def test_delete_without_id_ends_all_logins(as_user: Any, owner: User) -> None:
    clients = [as_user(owner) for _ in range(3)]
    assert clients[0].delete(URL).status_code == 204
    assert [client.get("/api/v1/auth/me").status_code for client in clients] == [401] * 3


@pytest.mark.parametrize("user_fixture", ["admin", "outsider", "superuser"])
def test_the_logins_of_other_users_do_not_exist(
    as_user: Any, owner: User, user_fixture: str, request: pytest.FixtureRequest
) -> None:
    client_of_owner = as_user(owner)
    login = Login.objects.get(user=owner)
    client = as_user(request.getfixturevalue(user_fixture))
    assert client.get(f"{URL}/{login.pk}").status_code == 404
    assert client.delete(f"{URL}/{login.pk}").status_code == 404
    assert client_of_owner.get("/api/v1/auth/me").status_code == 200


def test_anonymous_requests_are_refused(api: APIClient) -> None:
    assert api.get(URL).status_code == 401
    assert api.delete(URL).status_code == 401


def test_the_list_has_a_constant_query_count(as_user: Any, owner: User, count_queries: Any) -> None:
    client = as_user(owner)
    baseline = count_queries(lambda: client.get(URL, {"page_size": 100}))
    for _ in range(30):
        as_user(owner)
    assert count_queries(lambda: client.get(URL, {"page_size": 100})) == baseline
