from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Company, Mail, MailKind, PasswordReset, Role, User
from accounts.tests.factories import PASSWORD, UserFactory
from common.api.exceptions import Conflict

pytestmark = pytest.mark.django_db
URL = "/api/v1/users"
COLLEAGUE_FIELDS = {"id", "username", "full_name", "role"}


def get_usernames(response: Any) -> set[str]:
    assert response.status_code == 200, response.content
    return {item["username"] for item in response.json()["items"]}


class TestList:
    def test_agents_see_active_colleagues_with_few_fields(
        self, as_user: Any, owner: User, colleague: User, admin: User, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        UserFactory(company=owner.company, username="inactive", is_active=False)
        response = as_user(owner).get(URL)
        assert get_usernames(response) == {"owner", "colleague", "admin"}
        assert all(set(item) == COLLEAGUE_FIELDS for item in response.json()["items"])

    def test_with_open_signup_agents_see_only_themselves(
        self, as_user: Any, owner: User, colleague: User, settings: Any
    ) -> None:
        settings.SIGNUP = "open"
        client = as_user(owner)
        assert get_usernames(client.get(URL)) == {"owner"}
        assert client.get(f"{URL}/{colleague.pk}").status_code == 404

    def test_workers_see_their_colleagues(
        self, as_user: Any, worker_account: User, owner: User
    ) -> None:
        assert get_usernames(as_user(worker_account).get(URL)) == {"machine", "owner"}

    def test_admins_see_all_fields_and_inactive_users(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        services.deactivate_user(owner, by=admin)
        response = as_user(admin).get(URL)
        assert get_usernames(response) == {"owner", "admin"}
        assert {"email", "is_active", "last_login", "company"} <= set(response.json()["items"][0])

    def test_deleted_users_are_not_listed(self, as_user: Any, admin: User, owner: User) -> None:
        services.delete_user(owner, by=admin)
        assert get_usernames(as_user(admin).get(URL)) == {"admin"}

    def test_a_superuser_sees_all_users(self, as_user: Any, superuser: User, owner: User) -> None:
        assert get_usernames(as_user(superuser).get(URL)) == {"super", "owner"}

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"search": "COLL"}, {"colleague"}),
            ({"search": "owner@exa"}, {"owner"}),
            ({"role": "admin"}, {"admin"}),
            ({"is_active": "false"}, {"inactive"}),
        ],
        ids=str,
    )
    def test_filters(
        self, as_user: Any, admin: User, owner: User, colleague: User, query: dict, found: set
    ) -> None:
        UserFactory(company=owner.company, username="inactive", is_active=False)
        assert get_usernames(as_user(admin).get(URL, query)) == found

    def test_agents_cannot_search_by_email(
        self, as_user: Any, owner: User, colleague: User, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        assert get_usernames(as_user(owner).get(URL, {"search": "@example.org"})) == set()

    @pytest.mark.parametrize("query", [{"role": "boss"}, {"is_active": "perhaps"}], ids=str)
    def test_an_invalid_filter_value_is_named(self, as_user: Any, admin: User, query: dict) -> None:
        response = as_user(admin).get(URL, query)
        if "is_active" in query:
            assert response.status_code in (200, 400)
        else:
            assert response.json()["errors"][0]["field"] == "role"

    def test_the_list_has_a_constant_query_count(
        self, as_user: Any, admin: User, count_queries: Any
    ) -> None:
        client = as_user(admin)
        baseline = count_queries(lambda: client.get(URL, {"page_size": 100}))
        UserFactory.create_batch(30, company=admin.company)
        assert count_queries(lambda: client.get(URL, {"page_size": 100})) == baseline


class TestForbidden:
    def test_a_user_of_another_company_does_not_exist(
        self, as_user: Any, outsider: User, owner: User
    ) -> None:
        client, url = as_user(outsider), f"{URL}/{owner.pk}"
        responses = [
            client.get(url),
            client.patch(url, {"full_name": "x"}),
            client.put(url, {"full_name": "x"}),
            client.delete(url),
            client.put(f"{url}/role", {"role": "admin"}),
            client.get(f"/api/v1/admin/users/{owner.pk}"),
            client.post(f"/api/v1/admin/users/{owner.pk}/deactivate"),
            client.post(f"/api/v1/admin/users/{owner.pk}/activate"),
        ]
        assert [response.status_code for response in responses] == [404] * 8
        owner.refresh_from_db()
        assert (owner.full_name, owner.role, owner.is_active) == ("", Role.AGENT, True)

    def test_agents_can_read_but_not_change_colleagues(
        self, as_user: Any, owner: User, colleague: User, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        client, url = as_user(owner), f"{URL}/{colleague.pk}"
        assert client.get(url).status_code == 200
        assert client.patch(url, {"full_name": "x"}).status_code == 403
        assert client.delete(url).status_code == 403
        assert client.put(f"{url}/role", {"role": "agent"}).status_code == 403
        assert client.post(URL, {"email": "x@example.org"}).status_code == 403
        assert client.get("/api/v1/admin/users").status_code == 403

    def test_an_admin_cannot_change_a_superuser(self, as_user: Any, admin: User) -> None:
        operator = UserFactory(company=admin.company, is_superuser=True, role=Role.ADMIN)
        client, url = as_user(admin), f"{URL}/{operator.pk}"
        assert client.get(url).status_code == 200
        assert client.patch(url, {"password": "violet-anchor-42"}).status_code == 403
        assert client.patch(url, {"email": "mine@example.org"}).status_code == 403
        assert client.delete(url).status_code == 403
        assert client.put(f"{url}/role", {"role": "agent"}).status_code == 403
        assert client.post(f"/api/v1/admin/users/{operator.pk}/deactivate").status_code == 403


class TestOwnRow:
    @pytest.fixture(params=[Role.AGENT, Role.WORKER, Role.ADMIN, "superuser"])
    def person(self, request: Any, company: Company) -> User:
        """One person of each role; an agent also with open sign-up, the tests' setting."""
        rights = {"role": Role.ADMIN, "is_superuser": True}
        if request.param != "superuser":
            rights = {"role": request.param}
        return UserFactory(company=company, username="person", **rights)

    def test_has_all_fields(self, as_user: Any, person: User) -> None:
        client = as_user(person)
        row = client.get(f"{URL}/{person.pk}").json()
        assert row == client.get("/api/v1/auth/me").json()
        assert (row["email"], row["company"]["code"]) == (person.email, "acme")
        some_fields = client.get(f"{URL}/{person.pk}?fields=email,is_active")
        assert some_fields.json() == {"email": person.email, "is_active": True}

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_username_and_full_name_can_be_changed(
        self, as_user: Any, person: User, method: str
    ) -> None:
        client, url = as_user(person), f"{URL}/{person.pk}"
        row = client.get(url).json()
        body = row | {"username": "new.name", "full_name": "New Name"}
        for sent in ({"username": "new"}, {"full_name": "New"}, body):
            assert getattr(client, method)(url, sent).status_code == 200
        changed = client.get(url).json()
        assert {name for name in row if row[name] != changed[name]} == {
            *("username", "full_name", "updated_at"),
        }
        assert (changed["username"], changed["full_name"]) == ("new.name", "New Name")

    @pytest.mark.parametrize("role", [Role.AGENT, Role.WORKER])
    @pytest.mark.parametrize(
        "change",
        [
            {"role": "admin"},
            {"email": "mine@example.org"},
            {"is_active": False},
            {"company": None},
            {"password": "violet-anchor-42"},
            {"company_id": "01980c1e-6a40-7c11-b1f4-2d9a8c7e5f03"},
            {"is_superuser": True},
        ],
        ids=str,
    )
    def test_only_admins_change_other_fields(
        self, as_user: Any, company: Company, role: Role, change: dict
    ) -> None:
        person = UserFactory(company=company, role=role)
        before = User.objects.values().get(pk=person.pk)
        as_user(person).patch(f"{URL}/{person.pk}", change)
        after = User.objects.values().get(pk=person.pk)
        assert before | {"updated_at": None} == after | {"updated_at": None}

    @pytest.mark.parametrize("role", [Role.AGENT, Role.WORKER])
    def test_only_admins_delete_and_change_roles(
        self, as_user: Any, company: Company, role: Role
    ) -> None:
        person = UserFactory(company=company, role=role)
        client, url = as_user(person), f"{URL}/{person.pk}"
        responses = [
            client.delete(url),
            client.put(f"{url}/role", {"role": role}),
            client.post(f"/api/v1/admin/users/{person.pk}/deactivate"),
            client.post(f"/api/v1/admin/users/{person.pk}/activate"),
            client.get(f"/api/v1/admin/users/{person.pk}"),
        ]
        assert [response.status_code for response in responses] == [403] * 5

    def test_has_the_fields_of_a_colleague_in_lists(
        self, as_user: Any, owner: User, settings: Any
    ) -> None:
        settings.SIGNUP = "open"
        (item,) = as_user(owner).get(URL).json()["items"]
        assert set(item) == COLLEAGUE_FIELDS

    def test_other_rows_stay_as_they_were(
        self, as_user: Any, owner: User, colleague: User, outsider: User, settings: Any
    ) -> None:
        client, body = as_user(owner), {"username": "x"}
        assert client.patch(f"{URL}/{outsider.pk}", body).status_code == 404
        for signup, status in (("open", 404), ("invite", 403)):
            settings.SIGNUP = signup
            assert client.patch(f"{URL}/{colleague.pk}", body).status_code == status
        assert set(client.get(f"{URL}/{colleague.pk}").json()) == COLLEAGUE_FIELDS


class TestCreate:
    BODY = {"email": "neo@example.org", "password": PASSWORD, "role": "worker", "full_name": "Neo"}

    def test_an_admin_creates_users_in_their_company(
        self, as_user: Any, admin: User, api: APIClient
    ) -> None:
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

    def test_a_user_without_password_gets_a_link(self, as_user: Any, admin: User) -> None:
        as_user(admin).post(URL, {"email": "neo@example.org"})
        assert PasswordReset.objects.get().email == "neo@example.org"
        assert User.objects.get(email="neo@example.org").has_usable_password() is False

    def test_an_admin_cannot_choose_another_company(
        self, as_user: Any, admin: User, outsider: User
    ) -> None:
        body = self.BODY | {"company_id": str(outsider.company_id)}
        response = as_user(admin).post(URL, body)
        assert response.status_code == 400
        error = response.json()["errors"][0]
        assert (error["field"], error["code"]) == ("company_id", "does_not_exist")

    def test_a_superuser_can_choose_the_company(
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
    def test_invalid_input_is_refused_by_field(
        self, as_user: Any, admin: User, owner: User, change: dict, field: str, code: str
    ) -> None:
        response = as_user(admin).post(URL, self.BODY | change)
        assert response.status_code == 400
        assert (field, code) in {(e["field"], e["code"]) for e in response.json()["errors"]}
        assert not User.objects.filter(email="neo@example.org").exists()


class TestUpdate:
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_put_and_patch_accept_some_fields(
        self, as_user: Any, admin: User, owner: User, method: str
    ) -> None:
        client = as_user(admin)
        response = getattr(client, method)(
            f"{URL}/{owner.pk}", {"full_name": "Olive", "email": "Olive@Example.org"}
        )
        assert response.status_code == 200
        assert response.json()["email"] == "olive@example.org"
        assert response.json()["username"] == "owner"

    def test_a_response_can_be_sent_back_as_a_put(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        client, url = as_user(admin), f"{URL}/{owner.pk}"
        assert client.put(url, client.get(url).json()).status_code == 200

    def test_old_emails_and_usernames_can_be_sent_back(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        User.objects.filter(pk=owner.pk).update(email='"o"@localhost', username="old name")
        client, url = as_user(admin), f"{URL}/{owner.pk}"
        for editor in (client, as_user(owner)):
            assert editor.put(url, client.get(url).json()).status_code == 200
        response = client.patch(url, {"email": '"p"@localhost', "username": "new name"})
        assert {error["field"] for error in response.json()["errors"]} == {"email", "username"}

    def test_a_user_cannot_move_to_another_company(
        self, as_user: Any, superuser: User, owner: User
    ) -> None:
        body = {"company_id": str(superuser.company_id)}
        assert as_user(superuser).patch(f"{URL}/{owner.pk}", body).status_code == 400

    def test_a_role_change_applies_to_the_next_request(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        client_of_owner = as_user(owner)
        response = as_user(admin).put(f"{URL}/{owner.pk}/role", {"role": "worker"})
        assert (response.status_code, response.json()["role"]) == (200, "worker")
        assert client_of_owner.get("/api/v1/notes").status_code == 401

    def test_a_new_password_ends_the_users_logins(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        client_of_owner = as_user(owner)
        as_user(admin).patch(f"{URL}/{owner.pk}", {"password": "violet-anchor-42"})
        assert client_of_owner.get("/api/v1/auth/me").status_code == 401
        assert Mail.objects.get().kind == MailKind.PASSWORD_CHANGED

    def test_delete_keeps_the_row_and_frees_email_and_username(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        client, client_of_owner = as_user(admin), as_user(owner)
        assert client.delete(f"{URL}/{owner.pk}").status_code == 204
        assert client.get(f"{URL}/{owner.pk}").status_code == 404
        assert client_of_owner.get("/api/v1/auth/me").status_code == 401
        body = {"email": owner.email, "username": owner.username, "password": PASSWORD}
        assert client.post(URL, body).status_code == 201
        assert User.objects.filter(email=owner.email).count() == 2


class TestDeactivation:
    def test_applies_to_the_next_request_and_can_be_undone(
        self, as_user: Any, admin: User, owner: User, api: APIClient
    ) -> None:
        client_of_owner, client = as_user(owner), as_user(admin)
        assert client_of_owner.get("/api/v1/auth/me").status_code == 200
        response = client.post(f"/api/v1/admin/users/{owner.pk}/deactivate")
        assert (response.status_code, response.json()["is_active"]) == (200, False)
        assert client_of_owner.get("/api/v1/auth/me").status_code == 401
        assert Mail.objects.get().kind == MailKind.DEACTIVATED
        response = client.post(f"/api/v1/admin/users/{owner.pk}/activate")
        assert (response.status_code, response.json()["is_active"]) == (200, True)
        assert client_of_owner.get("/api/v1/auth/me").status_code == 401
        login = {"username": "owner", "password": PASSWORD}
        assert api.post("/api/v1/auth/login", login).status_code == 200

    def test_repeating_it_sends_no_second_mail(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
        for _ in range(2):
            response = as_user(admin).post(f"/api/v1/admin/users/{owner.pk}/deactivate")
            assert response.status_code == 200
        assert Mail.objects.count() == 1

    def test_the_admin_list_is_paged_and_filtered(
        self, as_user: Any, admin: User, owner: User
    ) -> None:
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
    def test_the_last_admin_cannot_be_removed(
        self, as_user: Any, admin: User, method: str, path: str, body: dict
    ) -> None:
        response = getattr(as_user(admin), method)(path.format(admin.pk), body)
        assert response.status_code == 409
        assert response.json()["code"] == "last_admin"
        admin.refresh_from_db()
        assert (admin.role, admin.is_active, admin.deleted_at) == (Role.ADMIN, True, None)

    def test_an_inactive_admin_does_not_count(self, admin: User) -> None:
        UserFactory(company=admin.company, role=Role.ADMIN, is_active=False)
        with pytest.raises(Conflict):
            services.deactivate_user(admin, by=admin)

    def test_one_of_two_admins_can_be_removed(self, as_user: Any, admin: User) -> None:
        UserFactory(company=admin.company, role=Role.ADMIN)
        assert as_user(admin).delete(f"{URL}/{admin.pk}").status_code == 204

    @pytest.mark.django_db(transaction=True)
    def test_parallel_requests_leave_one_admin(self, company: Company) -> None:
        admins = UserFactory.create_batch(4, company=company, role=Role.ADMIN)

        def remove(admin: User) -> str:
            try:
                action = services.deactivate_user if admin in admins[:2] else services.delete_user
                action(admin, by=admin)
            except Conflict:
                return "kept"
            else:
                return "gone"
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(remove, admins)) == ["gone", "gone", "gone", "kept"]
        assert User.objects.active_admins().count() == 1


def test_a_user_can_be_created_inactive(as_user: Any, superuser: User, company: Company) -> None:
    body = TestCreate.BODY | {"role": "admin", "is_active": False, "company_id": str(company.pk)}
    response = as_user(superuser).post(URL, body)
    assert response.status_code == 201
    assert response.json()["is_active"] is False


def test_setting_the_same_role_revokes_no_tokens(as_user: Any, admin: User) -> None:
    client = as_user(admin)
    assert client.put(f"{URL}/{admin.pk}/role", {"role": "admin"}).status_code == 200
    assert client.get("/api/v1/auth/me").status_code == 200


@pytest.mark.parametrize("company_id", [[["x"]], {"a": 1}, 7, True, "x"], ids=str)
def test_company_ids_of_wrong_types_are_refused(
    as_user: Any, superuser: User, company_id: Any
) -> None:
    response = as_user(superuser).post(URL, TestCreate.BODY | {"company_id": company_id})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "company_id"
