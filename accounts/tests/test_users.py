from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Company, Mail, PasswordReset, Role, User
from accounts.tests.factories import PASSWORD, UserFactory
from common.api.exceptions import Conflict

pytestmark = pytest.mark.django_db
URL = "/api/v1/users"
REDUCED = {"id", "username", "full_name", "role"}


def names(response: Any) -> set[str]:
    assert response.status_code == 200, response.content
    return {item["username"] for item in response.json()["items"]}


class TestDirectory:
    def test_agents_see_active_colleagues_in_few_fields(
        self, as_user: Any, owner: User, colleague: User, admin: User, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        UserFactory(company=owner.company, username="closed", is_active=False)
        response = as_user(owner).get(URL)
        assert names(response) == {"owner", "colleague", "admin"}
        assert all(set(item) == REDUCED for item in response.json()["items"])

    def test_where_anybody_may_sign_up_agents_see_themselves_alone(
        self, as_user: Any, owner: User, colleague: User, settings: Any
    ) -> None:
        settings.SIGNUP = "open"
        client = as_user(owner)
        assert names(client.get(URL)) == {"owner"}
        assert client.get(f"{URL}/{colleague.pk}").status_code == 404

    def test_machines_see_colleagues(self, as_user: Any, worker_account: User, owner: User) -> None:
        assert names(as_user(worker_account).get(URL)) == {"machine", "owner"}

    def test_admins_see_all_fields_and_the_closed(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        services.deactivate(owner, by=admin)
        response = as_user(admin).get(URL)
        assert names(response) == {"owner", "admin"}
        assert {"email", "is_active", "last_login", "company"} <= set(response.json()["items"][0])

    def test_nobody_sees_the_deleted(self, as_user: Any, admin: User, owner: User) -> None:
        services.delete_user(owner, by=admin)
        assert names(as_user(admin).get(URL)) == {"admin"}

    def test_superuser_sees_all(self, as_user: Any, superuser: User, owner: User) -> None:
        assert names(as_user(superuser).get(URL)) == {"super", "owner"}

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"search": "COLL"}, {"colleague"}),
            ({"search": "owner@exa"}, {"owner"}),
            ({"role": "admin"}, {"admin"}),
            ({"is_active": "false"}, {"closed"}),
        ],
        ids=str,
    )
    def test_filters(
        self, as_user: Any, admin: User, owner: User, colleague: User, query: dict, found: set
    ) -> None:
        UserFactory(company=owner.company, username="closed", is_active=False)
        assert names(as_user(admin).get(URL, query)) == found

    def test_what_one_may_not_read_one_may_not_search_by(
        self, as_user: Any, owner: User, colleague: User, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        assert names(as_user(owner).get(URL, {"search": "@example.org"})) == set()

    @pytest.mark.parametrize("query", [{"role": "boss"}, {"is_active": "perhaps"}], ids=str)
    def test_bad_value_is_named(self, as_user: Any, admin: User, query: dict) -> None:
        response = as_user(admin).get(URL, query)
        if "is_active" in query:
            assert response.status_code in (200, 400)
        else:
            assert response.json()["errors"][0]["field"] == "role"

    def test_query_count(self, as_user: Any, admin: User, queries: Any) -> None:
        client = as_user(admin)
        few = queries(lambda: client.get(URL, {"page_size": 100}))
        UserFactory.create_batch(30, company=admin.company)
        assert queries(lambda: client.get(URL, {"page_size": 100})) == few


class TestStrangers:
    def test_another_companys_person_does_not_exist(
        self, as_user: Any, outsider: User, owner: User
    ) -> None:
        client, one = as_user(outsider), f"{URL}/{owner.pk}"
        answers = [
            client.get(one),
            client.patch(one, {"full_name": "x"}),
            client.put(one, {"full_name": "x"}),
            client.delete(one),
            client.put(f"{one}/role", {"role": "admin"}),
            client.get(f"/api/v1/admin/users/{owner.pk}"),
            client.post(f"/api/v1/admin/users/{owner.pk}/deactivate"),
            client.post(f"/api/v1/admin/users/{owner.pk}/activate"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 8
        owner.refresh_from_db()
        assert (owner.full_name, owner.role, owner.is_active) == ("", Role.AGENT, True)

    def test_agents_may_look_but_not_touch(
        self, as_user: Any, owner: User, colleague: User, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        client, one = as_user(owner), f"{URL}/{colleague.pk}"
        assert client.get(one).status_code == 200
        assert client.patch(one, {"full_name": "x"}).status_code == 403
        assert client.delete(one).status_code == 403
        assert client.put(f"{one}/role", {"role": "agent"}).status_code == 403
        assert client.post(URL, {"email": "x@example.org"}).status_code == 403
        assert client.get("/api/v1/admin/users").status_code == 403

    def test_a_company_admin_does_not_touch_an_operator(self, as_user: Any, admin: User) -> None:
        operator = UserFactory(company=admin.company, is_superuser=True, role=Role.ADMIN)
        client, one = as_user(admin), f"{URL}/{operator.pk}"
        assert client.get(one).status_code == 200
        assert client.patch(one, {"password": "violet-anchor-42"}).status_code == 403
        assert client.patch(one, {"email": "mine@example.org"}).status_code == 403
        assert client.delete(one).status_code == 403
        assert client.put(f"{one}/role", {"role": "agent"}).status_code == 403
        assert client.post(f"/api/v1/admin/users/{operator.pk}/deactivate").status_code == 403


class TestCreate:
    BODY = {"email": "neo@example.org", "password": PASSWORD, "role": "worker", "full_name": "Neo"}

    def test_in_the_admins_own_company(self, as_user: Any, admin: User, api: APIClient) -> None:
        response = as_user(admin).post(URL, self.BODY)
        assert response.status_code == 201
        body = response.json()
        assert (body["role"], body["company"]["code"], body["username"]) == (
            "worker",
            "acme",
            "neo",
        )
        assert "password" not in body
        login = {"username": "neo", "password": PASSWORD}
        assert api.post("/api/v1/auth/login", login).status_code == 200

    def test_without_a_password_they_get_a_link(self, as_user: Any, admin: User) -> None:
        as_user(admin).post(URL, {"email": "neo@example.org"})
        assert PasswordReset.objects.get().email == "neo@example.org"
        assert User.objects.get(email="neo@example.org").has_usable_password() is False

    def test_another_company_is_none_of_an_admins(
        self, as_user: Any, admin: User, outsider: User
    ) -> None:
        body = self.BODY | {"company_id": str(outsider.company_id)}
        response = as_user(admin).post(URL, body)
        assert response.status_code == 400
        error = response.json()["errors"][0]
        assert (error["field"], error["code"]) == ("company_id", "does_not_exist")

    def test_a_superuser_may_name_the_company(
        self, as_user: Any, superuser: User, company: Company
    ) -> None:
        body = self.BODY | {"company_id": str(company.pk)}
        assert as_user(superuser).post(URL, body).json()["company"]["code"] == "acme"

    @pytest.mark.parametrize(
        ("change", "field", "code"),
        [
            ({"email": "OWNER@example.org"}, "email", "unique"),
            ({"username": "Owner"}, "username", "unique"),
            ({"role": "king"}, "role", "invalid_choice"),
            ({"password": "12345"}, "password", "password_too_short"),
            ({"is_superuser": True}, "is_superuser", "unknown_field"),
            ({"is_staff": True}, "is_staff", "unknown_field"),
            ({"token_version": 1}, "token_version", "unknown_field"),
        ],
        ids=str,
    )
    def test_bad_input(
        self, as_user: Any, admin: User, owner: User, change: dict, field: str, code: str
    ) -> None:
        response = as_user(admin).post(URL, self.BODY | change)
        assert response.status_code == 400
        assert (field, code) in {(e["field"], e["code"]) for e in response.json()["errors"]}
        assert not User.objects.filter(email="neo@example.org").exists()


class TestChange:
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_some_fields(self, as_user: Any, admin: User, owner: User, method: str) -> None:
        client = as_user(admin)
        response = getattr(client, method)(
            f"{URL}/{owner.pk}", {"full_name": "Olive", "email": "Olive@Example.org"}
        )
        assert response.status_code == 200
        assert response.json()["email"] == "olive@example.org"
        assert response.json()["username"] == "owner"

    def test_what_was_read_may_be_sent_back(self, as_user: Any, admin: User, owner: User) -> None:
        client, one = as_user(admin), f"{URL}/{owner.pk}"
        assert client.put(one, client.get(one).json()).status_code == 200

    def test_nobody_moves_to_another_company(
        self, as_user: Any, superuser: User, owner: User
    ) -> None:
        body = {"company_id": str(superuser.company_id)}
        assert as_user(superuser).patch(f"{URL}/{owner.pk}", body).status_code == 400

    def test_role_acts_on_the_next_request(self, as_user: Any, admin: User, owner: User) -> None:
        theirs = as_user(owner)
        response = as_user(admin).put(f"{URL}/{owner.pk}/role", {"role": "worker"})
        assert (response.status_code, response.json()["role"]) == (200, "worker")
        assert theirs.get("/api/v1/notes").status_code == 401

    def test_password_ends_their_logins(self, as_user: Any, admin: User, owner: User) -> None:
        theirs = as_user(owner)
        as_user(admin).patch(f"{URL}/{owner.pk}", {"password": "violet-anchor-42"})
        assert theirs.get("/api/v1/auth/me").status_code == 401
        assert Mail.objects.get().kind == Mail.Kind.PASSWORD_CHANGED

    def test_delete_frees_the_names_and_keeps_the_row(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        client, theirs = as_user(admin), as_user(owner)
        assert client.delete(f"{URL}/{owner.pk}").status_code == 204
        assert client.get(f"{URL}/{owner.pk}").status_code == 404
        assert theirs.get("/api/v1/auth/me").status_code == 401
        body = {"email": owner.email, "username": owner.username, "password": PASSWORD}
        assert client.post(URL, body).status_code == 201
        assert User.objects.filter(email=owner.email).count() == 2


class TestDeactivation:
    def test_acts_on_the_next_request_and_can_be_undone(
        self, as_user: Any, admin: User, owner: User, api: APIClient
    ) -> None:
        theirs, client = as_user(owner), as_user(admin)
        assert theirs.get("/api/v1/auth/me").status_code == 200
        response = client.post(f"/api/v1/admin/users/{owner.pk}/deactivate")
        assert (response.status_code, response.json()["is_active"]) == (200, False)
        assert theirs.get("/api/v1/auth/me").status_code == 401
        assert Mail.objects.get().kind == Mail.Kind.DEACTIVATED
        response = client.post(f"/api/v1/admin/users/{owner.pk}/activate")
        assert (response.status_code, response.json()["is_active"]) == (200, True)
        assert theirs.get("/api/v1/auth/me").status_code == 401
        login = {"username": "owner", "password": PASSWORD}
        assert api.post("/api/v1/auth/login", login).status_code == 200

    def test_twice_is_no_error_and_one_mail(self, as_user: Any, admin: User, owner: User) -> None:
        for _ in range(2):
            response = as_user(admin).post(f"/api/v1/admin/users/{owner.pk}/deactivate")
            assert response.status_code == 200
        assert Mail.objects.count() == 1

    def test_admin_list_is_paged_and_filtered(self, as_user: Any, admin: User, owner: User) -> None:
        body = as_user(admin).get("/api/v1/admin/users", {"search": "own", "page_size": 1}).json()
        assert (body["total"], body["items"][0]["email"]) == (1, "owner@example.org")


class TestLastAdmin:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("post", "/api/v1/admin/users/{}/deactivate", {}),
            ("put", "/api/v1/users/{}/role", {"role": "agent"}),
            ("patch", "/api/v1/users/{}", {"role": "worker"}),
            ("patch", "/api/v1/users/{}", {"is_active": False}),
            ("delete", "/api/v1/users/{}", {}),
        ],
    )
    def test_can_not_be_lost(
        self, as_user: Any, admin: User, method: str, path: str, body: dict
    ) -> None:
        response = getattr(as_user(admin), method)(path.format(admin.pk), body)
        assert response.status_code == 409
        assert response.json()["code"] == "last_admin"
        admin.refresh_from_db()
        assert (admin.role, admin.is_active, admin.deleted_at) == (Role.ADMIN, True, None)

    def test_a_closed_admin_does_not_count(self, admin: User) -> None:
        UserFactory(company=admin.company, role=Role.ADMIN, is_active=False)
        with pytest.raises(Conflict):
            services.deactivate(admin, by=admin)

    def test_one_of_two_may_go(self, as_user: Any, admin: User) -> None:
        UserFactory(company=admin.company, role=Role.ADMIN)
        assert as_user(admin).delete(f"{URL}/{admin.pk}").status_code == 204

    @pytest.mark.django_db(transaction=True)
    def test_not_even_by_requests_at_the_same_instant(self, company: Company) -> None:
        admins = UserFactory.create_batch(4, company=company, role=Role.ADMIN)

        def lose(admin: User) -> str:
            try:
                action = services.deactivate if admin in admins[:2] else services.delete_user
                action(admin, by=admin)
            except Conflict:
                return "kept"
            else:
                return "gone"
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(lose, admins)) == ["gone", "gone", "gone", "kept"]
        assert User.objects.active_admins().count() == 1


def test_an_inactive_admin_of_a_new_company_is_made_or_not(
    as_user: Any, superuser: User, company: Company
) -> None:
    body = TestCreate.BODY | {"role": "admin", "is_active": False, "company_id": str(company.pk)}
    response = as_user(superuser).post(URL, body)
    assert response.status_code == 201
    assert response.json()["is_active"] is False


def test_the_same_role_again_withdraws_nothing(as_user: Any, admin: User) -> None:
    client = as_user(admin)
    assert client.put(f"{URL}/{admin.pk}/role", {"role": "admin"}).status_code == 200
    assert client.get("/api/v1/auth/me").status_code == 200


@pytest.mark.parametrize("company_id", [[["x"]], {"a": 1}, 7, True, "x"], ids=str)
def test_company_ids_of_wrong_types(as_user: Any, superuser: User, company_id: Any) -> None:
    response = as_user(superuser).post(URL, TestCreate.BODY | {"company_id": company_id})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "company_id"
