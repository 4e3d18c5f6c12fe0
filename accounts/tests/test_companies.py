from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Company, User

pytestmark = pytest.mark.django_db
URL = "/api/v1/companies"


@pytest.mark.parametrize("who", ["owner", "worker_account", "admin"])
def test_everybody_reads_their_own(
    as_user: Any, outsider: User, who: str, request: pytest.FixtureRequest
) -> None:
    person = request.getfixturevalue(who)
    client = as_user(person)
    (item,) = client.get(URL).json()["items"]
    assert (item["code"], item["name"]) == ("acme", "Acme")
    assert client.get(f"{URL}/{person.company_id}").status_code == 200
    assert client.get(f"{URL}/{outsider.company_id}").status_code == 404
    assert client.patch(f"{URL}/{outsider.company_id}", {"name": "x"}).status_code == 404


def test_superuser_reads_all(as_user: Any, superuser: User, owner: User) -> None:
    assert as_user(superuser).get(URL).json()["total"] == 2


def test_stranger(api: APIClient, company: Company) -> None:
    assert api.get(URL).status_code == 401
    assert api.patch(f"{URL}/{company.pk}", {"name": "x"}).status_code == 401


@pytest.mark.parametrize("method", ["put", "patch"])
def test_admin_changes_it(as_user: Any, admin: User, method: str) -> None:
    body = {"name": "Acme & Sons", "contact_email": "office@example.org"}
    response = getattr(as_user(admin), method)(f"{URL}/{admin.company_id}", body)
    assert response.status_code == 200
    assert response.json()["name"] == "Acme & Sons"


@pytest.mark.parametrize("who", ["owner", "worker_account"])
def test_others_do_not(as_user: Any, who: str, request: pytest.FixtureRequest) -> None:
    person = request.getfixturevalue(who)
    response = as_user(person).patch(f"{URL}/{person.company_id}", {"name": "x"})
    assert response.status_code == 403


@pytest.mark.parametrize("change", [{"code": "other"}, {"is_active": False}], ids=str)
def test_code_and_activity_are_the_operators(
    as_user: Any, admin: User, superuser: User, change: dict
) -> None:
    one = f"{URL}/{admin.company_id}"
    response = as_user(admin).patch(one, change)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == list(change)
    assert as_user(superuser).patch(one, change).status_code == 200


def test_what_was_read_may_be_sent_back(as_user: Any, admin: User) -> None:
    client, one = as_user(admin), f"{URL}/{admin.company_id}"
    assert client.put(one, client.get(one).json()).status_code == 200


def test_only_a_superuser_creates(as_user: Any, admin: User, superuser: User) -> None:
    body = {"name": "Fresh", "code": "fresh"}
    assert as_user(admin).post(URL, body).status_code == 403
    response = as_user(superuser).post(URL, body)
    assert (response.status_code, response.json()["is_active"]) == (201, True)


@pytest.mark.parametrize("code", ["acme", "Acme!", "", "-a", "../x", "x" * 51])
def test_codes_that_are_refused(as_user: Any, superuser: User, company: Company, code: str) -> None:
    response = as_user(superuser).post(URL, {"name": "Fresh", "code": code})
    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {"code"}


def test_nobody_deletes_one(as_user: Any, superuser: User, company: Company) -> None:
    assert as_user(superuser).delete(f"{URL}/{company.pk}").status_code == 405


def test_an_operator_is_not_locked_out_with_their_company(as_user: Any, superuser: User) -> None:
    client, one = as_user(superuser), f"{URL}/{superuser.company_id}"
    client.patch(one, {"is_active": False})
    assert client.patch(one, {"is_active": True}).status_code == 200


def test_closing_one_acts_on_the_next_request(as_user: Any, superuser: User, owner: User) -> None:
    theirs = as_user(owner)
    as_user(superuser).patch(f"{URL}/{owner.company_id}", {"is_active": False})
    assert theirs.get("/api/v1/auth/me").status_code == 401
