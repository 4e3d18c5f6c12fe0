from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as outbox
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.link_secrets import get_mailed_secret
from accounts.models import Mail, MailKind, PasswordReset, User
from accounts.tests.factories import PASSWORD
from accounts.tests.support import run_due_jobs

pytestmark = pytest.mark.django_db
CHANGE = "/api/v1/auth/password/change"
RESET = "/api/v1/auth/password/reset"
CONFIRM = "/api/v1/auth/password/reset/confirm"
NEW_PASSWORD = "violet-anchor-42"


def can_log_in(password: str) -> bool:
    body = {"username": "owner", "password": password}
    return APIClient().post("/api/v1/auth/login", body).status_code == 200


class TestPasswordChange:
    @pytest.mark.parametrize(
        "body",
        [
            {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
            {"old_password": PASSWORD, "new_password": NEW_PASSWORD},
        ],
        ids=str,
    )
    def test_ends_all_other_logins(self, as_user: Any, owner: User, body: dict) -> None:
        current, other = as_user(owner), as_user(owner)
        assert current.post(CHANGE, body).status_code == 204
        assert current.get("/api/v1/auth/me").status_code == 200
        assert other.get("/api/v1/auth/me").status_code == 401
        assert (can_log_in(PASSWORD), can_log_in(NEW_PASSWORD)) == (False, True)
        assert Mail.objects.get().kind == MailKind.PASSWORD_CHANGED

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"current_password": "wrong", "new_password": NEW_PASSWORD}, "current_password"),
            ({"new_password": NEW_PASSWORD}, "current_password"),
            ({"current_password": PASSWORD}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "12345678"}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "owner@example.org"}, "new_password"),
        ],
        ids=str,
    )
    def test_invalid_input_is_refused_by_field(
        self, as_user: Any, owner: User, body: dict, field: str
    ) -> None:
        response = as_user(owner).post(CHANGE, body)
        assert response.status_code == 400
        assert {error["field"] for error in response.json()["errors"]} == {field}
        assert can_log_in(PASSWORD)

    def test_all_missing_fields_are_named(self, as_user: Any, owner: User) -> None:
        errors = as_user(owner).post(CHANGE, {}).json()["errors"]
        assert {error["field"] for error in errors} == {"current_password", "new_password"}

    def test_anonymous_requests_are_refused(self, api: APIClient) -> None:
        assert api.post(CHANGE, {}).status_code == 401


class TestPasswordReset:
    @pytest.fixture
    def secret(self, api: APIClient, owner: User) -> str:
        api.post(RESET, {"email": "Owner@Example.org"})
        run_due_jobs()
        return get_mailed_secret(PasswordReset.objects.get())

    def test_known_and_unknown_addresses_get_the_same_response(
        self, api: APIClient, owner: User, count_queries: Any
    ) -> None:
        responses, query_counts = [], []
        for email in ("owner@example.org", "nobody@example.org"):
            query_counts.append(
                count_queries(lambda e=email: responses.append(api.post(RESET, {"email": e})))
            )
        assert responses[0].status_code == responses[1].status_code == 202
        assert responses[0].json() == responses[1].json()
        assert query_counts[0] == query_counts[1]
        assert [message.to for message in run_due_jobs()] == [["owner@example.org"]]

    def test_a_deactivated_user_gets_no_mail(self, api: APIClient, owner: User) -> None:
        User.objects.update(is_active=False)
        api.post(RESET, {"email": owner.email})
        assert run_due_jobs() == []

    def test_an_address_gets_three_mails_a_day_and_requests_the_same_answer(
        self, api: APIClient, owner: User, settings: Any
    ) -> None:
        settings.AUTH_RATE_LIMIT = "off"
        answers = {api.post(RESET, {"email": owner.email}).content for _ in range(8)}
        assert len(answers) == 1
        assert len(run_due_jobs()) == 3
        Mail.objects.update(created_at=timezone.now() - timedelta(days=1, seconds=1))
        api.post(RESET, {"email": owner.email})
        assert len(run_due_jobs()) == 4

    def test_sets_the_password_and_ends_all_logins(
        self, api: APIClient, as_user: Any, owner: User, secret: str
    ) -> None:
        client_of_owner = as_user(owner)
        assert api.post(CONFIRM, {"token": secret, "new_password": NEW_PASSWORD}).status_code == 204
        assert client_of_owner.get("/api/v1/auth/me").status_code == 401
        assert (can_log_in(PASSWORD), can_log_in(NEW_PASSWORD)) == (False, True)

    def test_only_the_mail_contains_the_link(self, secret: str) -> None:
        assert f"http://localhost:8000/password/{secret}" in outbox.outbox[0].body
        row = PasswordReset.objects.values().get()
        assert secret not in str(row)
        assert secret not in str(Mail.objects.values().get())

    def test_the_host_header_does_not_change_the_link(self, api: APIClient, owner: User) -> None:
        api.post(RESET, {"email": owner.email}, headers={"host": "evil.example.net"})
        (message,) = run_due_jobs()
        assert "evil" not in message.body + message.alternatives[0][0]

    def test_a_link_works_once(self, api: APIClient, secret: str) -> None:
        api.post(CONFIRM, {"token": secret, "new_password": NEW_PASSWORD})
        response = api.post(CONFIRM, {"token": secret, "new_password": "other-anchor-43"})
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "token"
        assert can_log_in(NEW_PASSWORD)

    def test_a_weak_password_does_not_use_up_the_link(self, api: APIClient, secret: str) -> None:
        assert api.post(CONFIRM, {"token": secret, "new_password": "123"}).status_code == 400
        assert api.post(CONFIRM, {"token": secret, "password": NEW_PASSWORD}).status_code == 204

    def test_an_expired_link_is_refused(self, api: APIClient, secret: str) -> None:
        PasswordReset.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert api.post(CONFIRM, {"token": secret, "new_password": NEW_PASSWORD}).status_code == 400
        assert can_log_in(PASSWORD)

    def test_a_changed_password_invalidates_older_links(
        self, api: APIClient, as_user: Any, owner: User, secret: str
    ) -> None:
        as_user(owner).post(CHANGE, {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
        response = api.post(CONFIRM, {"token": secret, "new_password": "other-anchor-43"})
        assert response.status_code == 400

    @pytest.mark.parametrize(
        ("end", "revive"),
        [
            (services.deactivate_user, services.activate_user),
            (services.delete_user, lambda user, by: User.objects.update(deleted_at=None)),
        ],
    )
    def test_links_end_with_the_account_and_are_not_revived(
        self, api: APIClient, owner: User, superuser: User, secret: str, end: Any, revive: Any
    ) -> None:
        body = {"token": secret, "new_password": NEW_PASSWORD}
        end(owner, by=superuser)
        assert api.post(CONFIRM, body).status_code == 400
        revive(owner, by=superuser)
        assert api.post(CONFIRM, body).status_code == 400
        assert not can_log_in(NEW_PASSWORD)

    @pytest.mark.parametrize("interface", ["api", "admin site"])
    def test_links_end_with_the_company_and_are_not_revived(
        self,
        api: APIClient,
        as_user: Any,
        owner: User,
        superuser: User,
        secret: str,
        interface: str,
    ) -> None:
        operator, body = Client(), {"token": secret, "new_password": NEW_PASSWORD}
        operator.force_login(superuser)

        def set_active(is_active: bool) -> None:
            if interface == "api":
                url = f"/api/v1/companies/{owner.company_id}"
                response = as_user(superuser).patch(url, {"is_active": is_active})
                assert response.status_code == 200
            else:
                form = {"name": "Acme", "code": "acme"} | ({"is_active": "on"} if is_active else {})
                url = f"/admin/accounts/company/{owner.company_id}/change/"
                assert operator.post(url, form).status_code == 302

        set_active(False)
        assert api.post(CONFIRM, body).status_code == 400
        set_active(True)
        assert api.post(CONFIRM, body).status_code == 400
        assert can_log_in(PASSWORD)

    @pytest.mark.parametrize(
        "columns", [{"is_active": False}, {"deleted_at": "2026-01-01T00:00Z"}], ids=str
    )
    def test_a_link_needs_a_user_who_can_sign_in(
        self, api: APIClient, owner: User, secret: str, columns: dict
    ) -> None:
        User.objects.filter(pk=owner.pk).update(**columns)
        assert api.post(CONFIRM, {"token": secret, "new_password": NEW_PASSWORD}).status_code == 400

    def test_no_link_is_mailed_while_the_company_is_inactive(
        self, api: APIClient, owner: User
    ) -> None:
        api.post(RESET, {"email": owner.email})
        services.update_company(owner.company, by=owner, is_active=False)
        assert run_due_jobs() == []

    def test_old_addresses_that_new_accounts_may_not_have_can_be_reset(
        self, api: APIClient, owner: User
    ) -> None:
        for address in ("owner@localhost", '"ow"@example.org', "owner@strasse.de"):
            User.objects.filter(pk=owner.pk).update(email=address)
            typed = address.replace("strasse", "stra\u00dfe")
            assert api.post(RESET, {"email": typed}).status_code == 202
            assert run_due_jobs()[-1].to == [address]

    @pytest.mark.parametrize("body", [{}, {"token": None}, {"token": ""}], ids=str)
    def test_all_missing_fields_are_named(self, api: APIClient, body: dict) -> None:
        errors = api.post(CONFIRM, body).json()["errors"]
        assert {error["field"] for error in errors} == {"token", "new_password"}

    @pytest.mark.parametrize("token", ["", "x", "a\x00b", "x" * 101, 7])
    def test_malformed_tokens_are_refused(self, api: APIClient, owner: User, token: Any) -> None:
        response = api.post(CONFIRM, {"token": token, "new_password": NEW_PASSWORD})
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "token"

    @pytest.mark.parametrize("email", ["", "x", "a\x00@b.org", None])
    def test_invalid_addresses_are_refused(self, api: APIClient, email: Any) -> None:
        assert api.post(RESET, {"email": email}).status_code == 400

    def test_caches_may_not_store_the_page(self, secret: str) -> None:
        response = Client().get(f"/password/{secret}")
        assert "no-store" in response["Cache-Control"]

    def test_the_page_sets_the_password(self, owner: User, secret: str) -> None:
        page = f"/password/{secret}"
        assert b"Choose a password" in Client().get(page).content
        assert b"too short" in Client().post(page, {"new_password": "short"}).content
        assert b"was changed" in Client().post(page, {"new_password": NEW_PASSWORD}).content
        assert can_log_in(NEW_PASSWORD)


class TestKeyRotation:
    def test_a_mailed_link_works_after_key_rotation(
        self, api: APIClient, owner: User, settings: Any
    ) -> None:
        api.post(RESET, {"email": owner.email})
        run_due_jobs()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-of-more-than-32-characters"
        secret = get_mailed_secret(PasswordReset.objects.get())
        assert api.post(CONFIRM, {"token": secret, "new_password": NEW_PASSWORD}).status_code == 204


def test_setting_a_password_in_the_admin_site_ends_all_logins(
    as_user: Any, owner: User, superuser: User
) -> None:
    client_of_owner, operator = as_user(owner), Client()
    operator.force_login(superuser)
    form = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    operator.post(f"/admin/accounts/user/{owner.pk}/password/", form)
    assert client_of_owner.get("/api/v1/auth/me").status_code == 401
    assert can_log_in(NEW_PASSWORD)
    assert Mail.objects.get().kind == MailKind.PASSWORD_CHANGED


def test_changing_the_own_password_in_the_admin_site_ends_all_logins(
    as_user: Any, superuser: User
) -> None:
    client_of_owner, browser = as_user(superuser), Client()
    browser.force_login(superuser)
    form = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    browser.post("/admin/password_change/", form)
    assert client_of_owner.get("/api/v1/auth/me").status_code == 401
    assert browser.get("/admin/").status_code == 200


def test_a_changed_email_invalidates_links_mailed_to_the_old_one(
    api: APIClient, as_user: Any, admin: User, owner: User
) -> None:
    api.post(RESET, {"email": owner.email})
    run_due_jobs()
    secret = get_mailed_secret(PasswordReset.objects.get())
    as_user(admin).patch(f"/api/v1/users/{owner.pk}", {"email": "elsewhere@example.org"})
    assert api.post(CONFIRM, {"token": secret, "new_password": NEW_PASSWORD}).status_code == 400
