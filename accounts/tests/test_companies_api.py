from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Company, User

pytestmark = pytest.mark.django_db
URL = "/api/v1/companies"


@pytest.mark.parametrize("user_fixture", ["owner", "worker_account", "admin"])
def test_all_users_read_only_their_own_company(
    as_user: Any, outsider: User, user_fixture: str, request: pytest.FixtureRequest
) -> None:
    user = request.getfixturevalue(user_fixture)
    client = as_user(user)
    (item,) = client.get(URL).json()["items"]
    assert (item["code"], item["name"]) == ("acme", "Acme")
    assert client.get(f"{URL}/{user.company_id}").status_code == 200
    assert client.get(f"{URL}/{outsider.company_id}").status_code == 404
    assert client.patch(f"{URL}/{outsider.company_id}", {"name": "x"}).status_code == 404


def test_a_superuser_reads_all_companies(as_user: Any, superuser: User, owner: User) -> None:
    assert as_user(superuser).get(URL).json()["total"] == 2


def test_anonymous_requests_are_refused(api: APIClient, company: Company) -> None:
    assert api.get(URL).status_code == 401
    assert api.patch(f"{URL}/{company.pk}", {"name": "x"}).status_code == 401


@pytest.mark.parametrize("method", ["put", "patch"])
def test_an_admin_changes_the_company(as_user: Any, admin: User, method: str) -> None:
    body = {"name": "Acme & Sons", "contact_email": "office@example.org"}
    response = getattr(as_user(admin), method)(f"{URL}/{admin.company_id}", body)
    assert response.status_code == 200
    assert response.json()["name"] == "Acme & Sons"


@pytest.mark.parametrize("user_fixture", ["owner", "worker_account"])
def test_agents_and_workers_cannot_change_the_company(
    as_user: Any, user_fixture: str, request: pytest.FixtureRequest
) -> None:
    user = request.getfixturevalue(user_fixture)
    response = as_user(user).patch(f"{URL}/{user.company_id}", {"name": "x"})
    assert response.status_code == 403


@pytest.mark.parametrize("change", [{"code": "other"}, {"is_active": False}], ids=str)
def test_only_a_superuser_changes_code_and_activity(
    as_user: Any, admin: User, superuser: User, change: dict
) -> None:
    url = f"{URL}/{admin.company_id}"
    response = as_user(admin).patch(url, change)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == list(change)
    assert as_user(superuser).patch(url, change).status_code == 200


def test_a_response_can_be_sent_back_as_a_put(as_user: Any, admin: User) -> None:
    client, url = as_user(admin), f"{URL}/{admin.company_id}"
    assert client.put(url, client.get(url).json()).status_code == 200


def test_only_a_superuser_creates_a_company(as_user: Any, admin: User, superuser: User) -> None:
    body = {"name": "Fresh", "code": "fresh"}
    assert as_user(admin).post(URL, body).status_code == 403
    response = as_user(superuser).post(URL, body)
    assert (response.status_code, response.json()["is_active"]) == (201, True)


@pytest.mark.parametrize("code", ["acme", "Acme!", "", "-a", "../x", "x" * 51])
def test_invalid_and_taken_codes_are_refused(
    as_user: Any, superuser: User, company: Company, code: str
) -> None:
    response = as_user(superuser).post(URL, {"name": "Fresh", "code": code})
    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {"code"}


def test_a_company_cannot_be_deleted(as_user: Any, superuser: User, company: Company) -> None:
    assert as_user(superuser).delete(f"{URL}/{company.pk}").status_code == 405


def test_a_superuser_can_sign_in_to_an_inactive_company(as_user: Any, superuser: User) -> None:
    client, url = as_user(superuser), f"{URL}/{superuser.company_id}"
    client.patch(url, {"is_active": False})
    assert client.patch(url, {"is_active": True}).status_code == 200


def test_deactivating_a_company_refuses_the_next_request_of_its_users(
    as_user: Any, superuser: User, owner: User
) -> None:
    client_of_owner = as_user(owner)
    as_user(superuser).patch(f"{URL}/{owner.company_id}", {"is_active": False})
    assert client_of_owner.get("/api/v1/auth/me").status_code == 401
