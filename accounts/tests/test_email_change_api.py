from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.test import APIClient

from accounts import services
from accounts.link_secrets import get_mailed_secret
from accounts.models import EmailChange, Mail, Role, User
from accounts.tests.factories import PASSWORD, UserFactory
from accounts.tests.support import run_due_jobs
from common.api.exceptions import Conflict
from common.tests.support.events import RecordedEvents

pytestmark = pytest.mark.django_db
URL = "/api/v1/profile/email"
CONFIRM = f"{URL}/confirm"
BODY = {"new_email": "Olive@Caf\u00e9.org", "password": PASSWORD}
NEW_EMAIL = "olive@xn--caf-dma.org"


def get_secret() -> str:
    """Return the code in the newest link, after the mails were sent."""
    run_due_jobs()
    return get_mailed_secret(EmailChange.objects.latest("id"))


def confirm(secret: str) -> int:
    return APIClient().post(CONFIRM, {"token": secret}).status_code


@pytest.fixture
def secret(owner: User) -> str:
    """The code in the owner's link."""
    services.request_email_change(owner, new_email=NEW_EMAIL, by=owner)
    return get_mailed_secret(EmailChange.objects.get())


class TestRequest:
    def test_nothing_changes_before_the_link_is_used(self, owner: User, secret: str) -> None:
        owner.refresh_from_db()
        assert owner.email == "owner@example.org"

    def test_mails_a_link_to_the_new_address_and_a_notice_to_the_old_one(
        self, as_user: Any, owner: User
    ) -> None:
        as_user(owner).post(URL, BODY)
        link, notice = sorted(run_due_jobs(), key=lambda message: message.to != [NEW_EMAIL])
        path = f"http://localhost:8000/email/{get_secret()}"
        assert (link.to, notice.to) == ([NEW_EMAIL], ["owner@example.org"])
        for text in (link.body, link.alternatives[0][0]):
            assert path in text
        for text in (notice.body, notice.alternatives[0][0]):
            assert path not in text
            assert NEW_EMAIL not in text
            assert "change your password now" in text

    @pytest.mark.parametrize(
        ("change", "field", "code"),
        [
            ({"password": "wrong"}, "password", "wrong_password"),
            ({"password": None}, "password", "null"),
            ({"new_email": "Owner@example.org"}, "new_email", "unchanged"),
            ({"new_email": "x"}, "new_email", "invalid"),
            ({"new_email": "a@localhost"}, "new_email", "invalid"),
            ({"new_email": "x" * 250 + "@example.org"}, "new_email", "max_length"),
            ({"email": "x@example.org"}, "email", "unknown_field"),
        ],
        ids=str,
    )
    def test_invalid_input_is_refused_by_field(
        self, as_user: Any, owner: User, change: dict, field: str, code: str
    ) -> None:
        response = as_user(owner).post(URL, BODY | change)
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]
        assert not Mail.objects.exists()

    def test_all_missing_fields_are_named(self, as_user: Any, owner: User) -> None:
        errors = as_user(owner).post(URL, {}).json()["errors"]
        assert {error["field"] for error in errors} == {"new_email", "password"}

    def test_anonymous_requests_are_refused(self, api: APIClient) -> None:
        assert api.post(URL, BODY).status_code == 401

    def test_wrong_passwords_are_counted_with_those_of_sign_ins(
        self, as_user: Any, owner: User, settings: Any
    ) -> None:
        settings.AUTH_RATE_LIMIT = "4/minute"
        client = as_user(owner)
        wrong = BODY | {"password": "wrong"}
        statuses = [client.post(URL, wrong).status_code for _ in range(3)]
        assert statuses == [400, 400, 429]
        login = {"username": "owner", "password": PASSWORD}
        assert APIClient().post("/api/v1/auth/login", login).status_code == 429

    def test_a_taken_address_gets_a_notice_and_the_response_does_not_show_it(
        self, as_user: Any, owner: User, outsider: User, count_queries: Any
    ) -> None:
        client, responses = as_user(owner), []
        counts = [
            count_queries(
                lambda e=email: responses.append(client.post(URL, BODY | {"new_email": e}))
            )
            for email in ("free@example.org", "OUTSIDER@example.org")
        ]
        assert counts[0] == counts[1]
        assert [response.status_code for response in responses] == [202, 202]
        assert responses[0].content == responses[1].content
        (notice,) = (m for m in run_due_jobs() if m.to == ["outsider@example.org"])
        assert get_secret() not in notice.body + notice.alternatives[0][0]
        assert "It belongs to an account already" in notice.body

    def test_an_address_of_a_deleted_account_is_free(
        self, as_user: Any, owner: User, colleague: User, admin: User
    ) -> None:
        services.delete_user(colleague, by=admin)
        as_user(owner).post(URL, BODY | {"new_email": colleague.email})
        assert confirm(get_secret()) == 204

    def test_a_repeated_key_mails_one_link(self, as_user: Any, owner: User) -> None:
        client, headers = as_user(owner), {"Idempotency-Key": "k"}
        responses = [client.post(URL, BODY, headers=headers) for _ in range(2)]
        assert [response.status_code for response in responses] == [202, 202]
        assert EmailChange.objects.count() == 1
        other = client.post(URL, BODY | {"new_email": "x@example.org"}, headers=headers)
        assert other.status_code == 422

    @pytest.mark.parametrize("taken", [True, False])
    def test_an_address_gets_three_mails_a_day(
        self, as_user: Any, owner: User, taken: bool
    ) -> None:
        if taken:
            UserFactory(email=NEW_EMAIL)
        client = as_user(owner)
        responses = [client.post(URL, BODY) for _ in range(4)]
        assert [response.status_code for response in responses] == [202, 202, 202, 429]
        assert 86_000 < int(responses[-1]["Retry-After"]) <= 86_400
        assert Mail.objects.filter(to=NEW_EMAIL).count() == 3

    def test_a_user_mails_to_ten_addresses_a_day(self, as_user: Any, owner: User) -> None:
        for number in range(10):
            email = f"a{number}@example.org"
            services.request_email_change(owner, new_email=email, by=owner)
        response = as_user(owner).post(URL, BODY)
        assert response.status_code == 429
        assert 86_000 < int(response["Retry-After"]) <= 86_400

    def test_is_refused_if_the_password_changes_meanwhile(self, owner: User) -> None:
        signed_in = User.objects.get(pk=owner.pk)
        services.change_password(owner, password="violet-anchor-42", by=owner)
        with pytest.raises(Conflict):
            services.request_email_change(signed_in, new_email=NEW_EMAIL, by=signed_in)


class TestConfirm:
    @pytest.mark.parametrize("role", [Role.AGENT, Role.WORKER, Role.ADMIN, "superuser"])
    def test_changes_the_email_and_keeps_the_logins(
        self, as_user: Any, company: Any, role: str
    ) -> None:
        rights = {"role": Role.ADMIN, "is_superuser": True}
        person = UserFactory(company=company, **(rights if role == "superuser" else {"role": role}))
        client = as_user(person)
        client.post(URL, BODY)
        assert confirm(get_secret()) == 204
        assert client.get("/api/v1/profile/me").json()["email"] == NEW_EMAIL
        for email, status in ((NEW_EMAIL, 200), (person.email, 401)):
            login = {"email": email, "password": PASSWORD}
            assert APIClient().post("/api/v1/auth/login", login).status_code == status

    def test_the_old_address_is_notified(self, secret: str) -> None:
        confirm(secret)
        subject = "Your email address was changed"
        (notice,) = (message for message in run_due_jobs() if message.subject == subject)
        assert notice.to == ["owner@example.org"]
        assert NEW_EMAIL not in notice.body

    def test_is_recorded(self, owner: User, recorded_events: RecordedEvents) -> None:
        def change_email() -> None:
            services.request_email_change(owner, new_email=NEW_EMAIL, by=owner)
            services.confirm_email_change(secret=get_mailed_secret(EmailChange.objects.get()))

        events = recorded_events(change_email)
        actions = ["email_change.created", "user.updated", "email_change.confirmed"]
        assert [(action, by) for action, by, _ in events] == [
            (action, str(owner.pk)) for action in actions
        ]

    def test_a_link_works_once(self, secret: str) -> None:
        assert [confirm(secret), confirm(secret)] == [204, 400]

    @pytest.mark.parametrize("token", ["", "x", "a\x00b", "x" * 101, None, 7, []], ids=repr)
    def test_malformed_tokens_are_refused(self, api: APIClient, token: Any) -> None:
        response = api.post(CONFIRM, {"token": token})
        assert response.status_code == 400

    def test_an_expired_link_is_refused(self, secret: str) -> None:
        EmailChange.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert confirm(secret) == 400

    def test_the_newest_request_wins(self, owner: User, secret: str) -> None:
        services.request_email_change(owner, new_email="newest@example.org", by=owner)
        newest = get_mailed_secret(EmailChange.objects.latest("id"))
        assert [confirm(secret), confirm(newest)] == [400, 204]
        owner.refresh_from_db()
        assert owner.email == "newest@example.org"

    @pytest.mark.parametrize(
        "end",
        [
            lambda user, by: services.change_password(user, password="violet-anchor-42", by=by),
            lambda user, by: services.update_user(user, password="violet-anchor-42", by=by),
            lambda user, by: services.update_user(user, email="x@example.org", by=by),
            lambda user, by: services.change_role(user, role="worker", by=by),
            lambda user, by: services.activate_user(services.deactivate_user(user, by=by), by=by),
            lambda user, by: services.delete_user(user, by=by),
            lambda user, by: [
                services.update_company(user.company, by=by, is_active=is_active)
                for is_active in (False, True)
            ],
        ],
        ids=["password", "reset", "email", "role", "deactivation", "deletion", "company"],
    )
    def test_links_end_with_what_they_depend_on(
        self, owner: User, superuser: User, secret: str, end: Callable[..., Any]
    ) -> None:
        end(owner, by=superuser)
        assert confirm(secret) == 400
        assert not User.objects.filter(email=NEW_EMAIL).exists()

    def test_an_address_that_was_taken_meanwhile_is_refused(
        self, api: APIClient, owner: User, secret: str
    ) -> None:
        UserFactory(email=NEW_EMAIL)
        response = api.post(CONFIRM, {"token": secret})
        assert response.status_code == 400
        (error,) = response.json()["errors"]
        assert (error["field"], error["code"]) == ("token", "unique")
        owner.refresh_from_db()
        assert owner.email == "owner@example.org"

    @pytest.mark.django_db(transaction=True)
    def test_one_of_two_accounts_gets_the_address(self, owner: User, colleague: User) -> None:
        secrets = []
        for user in (owner, colleague):
            services.request_email_change(user, new_email=NEW_EMAIL, by=user)
            secrets.append(get_mailed_secret(EmailChange.objects.get(user=user)))

        def confirm_in_thread(secret: str) -> str:
            try:
                services.confirm_email_change(secret=secret)
            except ValidationError:
                return "refused"
            else:
                return "changed"
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(confirm_in_thread, secrets)) == ["changed", "refused"]
        assert User.objects.filter(email=NEW_EMAIL).count() == 1

    def test_the_code_is_only_in_the_mail(self, secret: str) -> None:
        assert secret not in str(EmailChange.objects.values().get())
        assert secret not in str(list(Mail.objects.values()))


class TestPage:
    def test_the_button_confirms_and_opening_the_page_does_not(
        self, owner: User, secret: str
    ) -> None:
        page, client = f"/email/{secret}", Client(enforce_csrf_checks=True)
        opened = client.get(page)
        assert b"Confirm your new email address" in opened.content
        assert "no-store" in opened["Cache-Control"]
        owner.refresh_from_db()
        assert owner.email == "owner@example.org"
        assert client.post(page).status_code == 403
        form = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
        assert b"was changed" in client.post(page, form).content
        owner.refresh_from_db()
        assert owner.email == NEW_EMAIL
        assert b"This link was used" in client.post(page, form).content

    def test_an_address_that_was_taken_meanwhile_is_named(self, secret: str) -> None:
        UserFactory(email=NEW_EMAIL)
        assert b"Another account has this address" in Client().post(f"/email/{secret}").content

    @pytest.mark.parametrize("secret", ["x", "x" * 300, "%00", "%F0%9F%98%80"])
    def test_an_unknown_link_is_refused(self, db: None, secret: str) -> None:
        client = Client()
        assert client.get(f"/email/{secret}").status_code == 200
        assert b"was changed" not in client.post(f"/email/{secret}").content


def test_an_admin_changes_an_email_directly_and_the_old_address_is_notified(
    as_user: Any, admin: User, owner: User
) -> None:
    body = {"email": "new@example.org"}
    assert as_user(admin).patch(f"/api/v1/users/{owner.pk}", body).status_code == 200
    (notice,) = run_due_jobs()
    assert (notice.to, notice.subject) == (
        ["owner@example.org"],
        "Your email address was changed",
    )
