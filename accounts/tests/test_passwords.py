from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as outbox
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.link_secrets import mailed_secret
from accounts.models import Mail, PasswordReset, User
from accounts.tests.factories import PASSWORD
from accounts.tests.test_mail import deliver

pytestmark = pytest.mark.django_db
CHANGE = "/api/v1/auth/password/change"
RESET = "/api/v1/auth/password/reset"
CONFIRM = "/api/v1/auth/password/reset/confirm"
NEW = "violet-anchor-42"


def may_log_in(password: str) -> bool:
    body = {"username": "owner", "password": password}
    return APIClient().post("/api/v1/auth/login", body).status_code == 200


class TestChange:
    @pytest.mark.parametrize(
        "body",
        [
            {"current_password": PASSWORD, "new_password": NEW},
            {"old_password": PASSWORD, "new_password": NEW},
        ],
        ids=str,
    )
    def test_ends_all_other_logins(self, as_user: Any, owner: User, body: dict) -> None:
        here, there = as_user(owner), as_user(owner)
        assert here.post(CHANGE, body).status_code == 204
        assert here.get("/api/v1/auth/me").status_code == 200
        assert there.get("/api/v1/auth/me").status_code == 401
        assert (may_log_in(PASSWORD), may_log_in(NEW)) == (False, True)
        assert Mail.objects.get().kind == Mail.Kind.PASSWORD_CHANGED

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"current_password": "wrong", "new_password": NEW}, "current_password"),
            ({"new_password": NEW}, "current_password"),
            ({"current_password": PASSWORD}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "12345678"}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "owner@example.org"}, "new_password"),
        ],
        ids=str,
    )
    def test_bad_input(self, as_user: Any, owner: User, body: dict, field: str) -> None:
        response = as_user(owner).post(CHANGE, body)
        assert response.status_code == 400
        assert {error["field"] for error in response.json()["errors"]} == {field}
        assert may_log_in(PASSWORD)

    def test_all_missing_fields_are_named(self, as_user: Any, owner: User) -> None:
        errors = as_user(owner).post(CHANGE, {}).json()["errors"]
        assert {error["field"] for error in errors} == {"current_password", "new_password"}

    def test_stranger(self, api: APIClient) -> None:
        assert api.post(CHANGE, {}).status_code == 401


class TestReset:
    @pytest.fixture
    def secret(self, api: APIClient, owner: User) -> str:
        api.post(RESET, {"email": "Owner@Example.org"})
        deliver()
        return mailed_secret(PasswordReset.objects.get())

    def test_answers_the_same_for_known_and_unknown(
        self, api: APIClient, owner: User, queries: Any
    ) -> None:
        answers, costs = [], []
        for email in ("owner@example.org", "nobody@example.org"):
            costs.append(queries(lambda e=email: answers.append(api.post(RESET, {"email": e}))))
        assert answers[0].status_code == answers[1].status_code == 202
        assert answers[0].json() == answers[1].json()
        assert costs[0] == costs[1]
        assert [message.to for message in deliver()] == [["owner@example.org"]]

    def test_closed_accounts_get_none(self, api: APIClient, owner: User) -> None:
        User.objects.update(is_active=False)
        api.post(RESET, {"email": owner.email})
        assert deliver() == []

    def test_nobody_is_flooded_with_mails(self, api: APIClient, owner: User, settings: Any) -> None:
        settings.AUTH_RATE_LIMIT = "off"
        for _ in range(8):
            api.post(RESET, {"email": owner.email})
        assert len(deliver()) == 5

    def test_sets_the_password_and_ends_all_logins(
        self, api: APIClient, as_user: Any, owner: User, secret: str
    ) -> None:
        theirs = as_user(owner)
        assert api.post(CONFIRM, {"token": secret, "new_password": NEW}).status_code == 204
        assert theirs.get("/api/v1/auth/me").status_code == 401
        assert (may_log_in(PASSWORD), may_log_in(NEW)) == (False, True)

    def test_the_mail_holds_the_link_and_the_database_does_not(self, secret: str) -> None:
        assert f"http://localhost:8000/password/{secret}" in outbox.outbox[0].body
        row = PasswordReset.objects.values().get()
        assert secret not in str(row)
        assert secret not in str(Mail.objects.values().get())

    def test_the_host_header_does_not_steer_it(self, api: APIClient, owner: User) -> None:
        api.post(RESET, {"email": owner.email}, headers={"host": "evil.example.net"})
        (message,) = deliver()
        assert "evil" not in message.body + message.alternatives[0][0]

    def test_works_once(self, api: APIClient, secret: str) -> None:
        api.post(CONFIRM, {"token": secret, "new_password": NEW})
        response = api.post(CONFIRM, {"token": secret, "new_password": "other-anchor-43"})
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "token"
        assert may_log_in(NEW)

    def test_a_weak_password_does_not_spend_it(self, api: APIClient, secret: str) -> None:
        assert api.post(CONFIRM, {"token": secret, "new_password": "123"}).status_code == 400
        assert api.post(CONFIRM, {"token": secret, "password": NEW}).status_code == 204

    def test_expires(self, api: APIClient, secret: str) -> None:
        PasswordReset.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert api.post(CONFIRM, {"token": secret, "new_password": NEW}).status_code == 400
        assert may_log_in(PASSWORD)

    def test_a_changed_password_makes_older_links_worthless(
        self, api: APIClient, as_user: Any, owner: User, secret: str
    ) -> None:
        as_user(owner).post(CHANGE, {"current_password": PASSWORD, "new_password": NEW})
        response = api.post(CONFIRM, {"token": secret, "new_password": "other-anchor-43"})
        assert response.status_code == 400

    @pytest.mark.parametrize("body", [{}, {"token": None}, {"token": ""}], ids=str)
    def test_all_missing_fields_are_named(self, api: APIClient, body: dict) -> None:
        errors = api.post(CONFIRM, body).json()["errors"]
        assert {error["field"] for error in errors} == {"token", "new_password"}

    @pytest.mark.parametrize("token", ["", "x", "a\x00b", "x" * 101, 7])
    def test_nonsense(self, api: APIClient, owner: User, token: Any) -> None:
        response = api.post(CONFIRM, {"token": token, "new_password": NEW})
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "token"

    @pytest.mark.parametrize("email", ["", "x", "a\x00@b.org", None])
    def test_no_address(self, api: APIClient, email: Any) -> None:
        assert api.post(RESET, {"email": email}).status_code == 400

    def test_page(self, owner: User, secret: str) -> None:
        page = f"/password/{secret}"
        assert b"Choose a password" in Client().get(page).content
        assert b"too common" in Client().post(page, {"new_password": "password123"}).content
        assert b"is changed" in Client().post(page, {"new_password": NEW}).content
        assert may_log_in(NEW)


class TestKeyRotation:
    def test_a_link_survives_it(self, api: APIClient, owner: User, settings: Any) -> None:
        api.post(RESET, {"email": owner.email})
        deliver()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-of-more-than-32-characters"
        secret = mailed_secret(PasswordReset.objects.get())
        assert api.post(CONFIRM, {"token": secret, "new_password": NEW}).status_code == 204


def test_a_password_set_in_the_admin_site_ends_all_logins(
    as_user: Any, owner: User, superuser: User
) -> None:
    theirs, operator = as_user(owner), Client()
    operator.force_login(superuser)
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    operator.post(f"/admin/accounts/user/{owner.pk}/password/", form)
    assert theirs.get("/api/v1/auth/me").status_code == 401
    assert may_log_in(NEW)
    assert Mail.objects.get().kind == Mail.Kind.PASSWORD_CHANGED


def test_ones_own_password_changed_in_the_admin_site_ends_all_logins(
    as_user: Any, superuser: User
) -> None:
    theirs, browser = as_user(superuser), Client()
    browser.force_login(superuser)
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    browser.post("/admin/password_change/", form)
    assert theirs.get("/api/v1/auth/me").status_code == 401
    assert browser.get("/admin/").status_code == 200


def test_another_email_makes_links_to_the_old_one_worthless(
    api: APIClient, as_user: Any, admin: User, owner: User
) -> None:
    api.post(RESET, {"email": owner.email})
    deliver()
    secret = mailed_secret(PasswordReset.objects.get())
    as_user(admin).patch(f"/api/v1/users/{owner.pk}", {"email": "elsewhere@example.org"})
    assert api.post(CONFIRM, {"token": secret, "new_password": NEW}).status_code == 400


def test_guessing_with_a_stolen_token_is_limited(as_user: Any, owner: User) -> None:
    client = as_user(owner)
    body = {"current_password": "wrong", "new_password": NEW}
    answers = [client.post(CHANGE, body).status_code for _ in range(6)]
    assert answers == [400] * 5 + [429]
