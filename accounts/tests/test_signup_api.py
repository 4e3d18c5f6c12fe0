import json
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Company, Role, User
from accounts.tests.factories import PASSWORD, UserFactory
from config.settings.auth import password_validators

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/signup"


def sign_up(client: APIClient, **fields: Any) -> Any:
    return client.post(URL, {"email": "new@example.org", "password": PASSWORD} | fields)


def get_errors(response: Any) -> set[tuple[str, str]]:
    assert response.status_code == 400, response.content
    return {(error["field"], error["code"]) for error in response.json()["errors"]}


class TestOpenMode:
    def test_creates_an_agent_of_the_default_company(self, api: APIClient) -> None:
        response = sign_up(api, email="New.Person@Example.org", full_name="New Person")
        assert response.status_code == 201
        body = response.json()
        assert body["email"] == "new.person@example.org"
        assert body["username"] == "new.person"
        assert body["full_name"] == "New Person"
        assert body["role"] == "agent"
        assert body["company"]["code"] == "default"
        assert body["is_active"] is True
        assert not {"password", "is_staff", "token_version"} & set(body)

    def test_register_is_an_alias(self, api: APIClient) -> None:
        body = {"email": "new@example.org", "password": PASSWORD, "username": "neo"}
        response = api.post("/api/v1/auth/register", body)
        assert (response.status_code, response.json()["username"]) == (201, "neo")

    def test_a_second_user_joins_the_same_company(self, api: APIClient) -> None:
        for name in ("one", "two"):
            sign_up(api, email=f"{name}@example.org")
        assert Company.objects.count() == 1

    def test_a_taken_generated_username_gets_a_number(self, api: APIClient) -> None:
        sign_up(api, email="ann@example.org")
        assert sign_up(api, email="ann@example.com").json()["username"] == "ann-2"

    @pytest.mark.parametrize("role", ["agent", "user"])
    def test_both_names_of_the_agent_role_are_accepted(self, api: APIClient, role: str) -> None:
        assert sign_up(api, role=role).json()["role"] == "agent"


class TestOtherModes:
    def test_company_mode_creates_a_company_with_the_user_as_admin(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.SIGNUP = "company"
        body = sign_up(api, company_name="Fresh & Co").json()
        assert body["role"] == "admin"
        assert body["company"]["name"] == "Fresh & Co"
        assert re.fullmatch("fresh-co-[a-z2-9]{4}", body["company"]["code"])

    def test_a_company_without_a_name_does_not_show_the_address(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.SIGNUP = "company"
        body = sign_up(api, email="ann.lee@example.com").json()
        assert body["company"]["name"] == "ann.lee"

    def test_a_code_that_the_operator_has_prepared_is_never_derived(
        self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "acme-aaaa").mkdir()
        settings.COMPANY_FOLDER_ROOTS = [tmp_path]
        settings.S3_BUCKETS = {"acme-bbbb": ["acme-data"]}
        settings.DEFAULT_COMPANY_CODE = "acme-cccc"
        drawn = iter("aaaabbbbccccdddd")
        monkeypatch.setattr(secrets, "choice", lambda _: next(drawn))
        assert services.create_company(by=None, name="Acme").code == "acme-dddd"

    def test_the_operator_can_give_a_prepared_code_to_a_company(
        self, settings: Any, as_user: Any, superuser: User
    ) -> None:
        settings.S3_BUCKETS = {"acme": ["acme-data"]}
        response = as_user(superuser).post("/api/v1/companies", {"name": "Acme", "code": "acme"})
        assert (response.status_code, response.json()["code"]) == (201, "acme")

    def test_companies_of_the_same_name_get_different_codes(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.SIGNUP = "company"
        codes = {
            sign_up(api, email=f"{n}@example.org", company_name="Same").json()["company"]["code"]
            for n in range(3)
        }
        assert len(codes) == 3

    def test_invite_mode_refuses_a_signup_without_invitation(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        response = sign_up(api)
        assert response.status_code == 403
        assert response.json()["code"] == "invitation_required"
        assert not User.objects.exists()

    @pytest.mark.parametrize("invitation", [None, "", "made-up"])
    def test_invite_mode_answers_alike_for_known_and_unknown_accounts(
        self, api: APIClient, owner: User, settings: Any, count_queries: Any, invitation: Any
    ) -> None:
        settings.SIGNUP = "invite"
        fields = {} if invitation is None else {"invitation": invitation}
        answers, query_counts = [], []

        def attempt(email: str, username: str) -> None:
            response = sign_up(api, email=email, username=username, **fields)
            answers.append((response.status_code, response.json() | {"request_id": ""}))

        for email, username in [
            ("owner@example.org", "someone"),
            ("OWNER@example.org", "owner"),
            ("nobody@example.org", "nobody"),
        ]:
            query_counts.append(count_queries(lambda e=email, u=username: attempt(e, u)))
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0] == (400 if invitation else 403)
        assert len(set(query_counts)) == 1

    def test_invite_mode_does_not_hash_the_password_of_an_uninvited_person(
        self, api: APIClient, owner: User, settings: Any
    ) -> None:
        settings.SIGNUP, settings.PASSWORD_HASHERS = "invite", ["no.such.Hasher"]
        assert sign_up(api).status_code == 403


class TestBadInput:
    @pytest.mark.parametrize("role", ["admin", "worker"])
    def test_other_roles_than_agent_are_refused(self, api: APIClient, role: str) -> None:
        response = sign_up(api, role=role)
        assert response.status_code == 403
        assert response.json()["code"] == "role_not_allowed"
        assert not User.objects.exists()

    @pytest.mark.parametrize("field", ["is_staff", "is_superuser", "company_id", "company", "id"])
    def test_internal_fields_are_unknown(self, api: APIClient, field: str) -> None:
        assert get_errors(sign_up(api, **{field: True})) == {(field, "unknown_field")}

    @pytest.mark.parametrize("email", ["ann@example.org", "ANN@EXAMPLE.ORG", "ａｎｎ@example.org"])
    def test_a_taken_email_is_refused_in_every_spelling(self, api: APIClient, email: str) -> None:
        UserFactory(username="other", email="ann@example.org")
        assert get_errors(sign_up(api, email=email)) == {("email", "unique")}

    def test_a_taken_username_is_refused_in_any_letter_case(self, api: APIClient) -> None:
        UserFactory(username="Ann", email="other@example.org")
        assert get_errors(sign_up(api, username="aNN")) == {("username", "unique")}

    @pytest.mark.parametrize(
        "email",
        [
            *("", "x", "a@b", "a b@example.org", "a@example.org\x00", 7, []),
            *("a@localhost", "a@example.org.", "a@.org", "a@-x.org", "a@x-.org", "a@x_y.org"),
            *('"a b"@example.org', '"a"@example.org', "a..b@example.org", ".a@example.org"),
            *("a@[127.0.0.1]", "a@[IPv6:::1]", "a@127.0.0.1", "a@10.0.0.12"),
            *("m\u0131ke@example.org", "m\u0130ke@example.org", "\u0430nn@example.org"),
            *("a@i\u2764.ws", "a@xn--\u00f6.org", "a@xn--zzzzzz.example", "a@xn--i-7iq.ws"),
        ],
    )
    def test_invalid_emails_are_refused(self, api: APIClient, email: Any) -> None:
        assert {field for field, _ in get_errors(sign_up(api, email=email))} == {"email"}

    @pytest.mark.parametrize(
        ("email", "stored"),
        [
            ("a@stra\u00dfe.de", "a@xn--strae-oqa.de"),
            ("a@STRASSE.de", "a@strasse.de"),
            ("a@b\u00fccher\u3002example", "a@xn--bcher-kva.example"),
            ("\uff41@example\uff0eorg", "a@example.org"),
            ("o'neil+x@example.museum", "o'neil+x@example.museum"),
        ],
    )
    def test_domains_are_stored_by_idna_2008(self, api: APIClient, email: str, stored: str) -> None:
        assert sign_up(api, email=email).json()["email"] == stored

    @pytest.mark.parametrize("username", ["a b", "a@b", "-a", "ä", "x" * 151, "a\nb"])
    def test_usernames_with_other_characters_are_refused(
        self, api: APIClient, username: str
    ) -> None:
        assert {field for field, _ in get_errors(sign_up(api, username=username))} == {"username"}

    @pytest.mark.parametrize(
        ("password", "code"),
        [
            ("short", "password_too_short"),
            ("8237498237498", "password_entirely_numeric"),
            ("new@example.org", "password_too_similar"),
            ("x" * 10_000, "max_length"),
        ],
    )
    def test_weak_passwords_are_refused(self, api: APIClient, password: str, code: str) -> None:
        assert ("password", code) in get_errors(sign_up(api, password=password))

    def test_common_passwords_are_refused_in_production_only(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.AUTH_PASSWORD_VALIDATORS = password_validators(debug=False)
        assert get_errors(sign_up(api, password="password123")) == {
            ("password", "password_too_common")
        }
        settings.AUTH_PASSWORD_VALIDATORS = password_validators(debug=True)
        assert sign_up(api, password="password123").status_code == 201

    @pytest.mark.parametrize(
        ("email", "username", "password"),
        [
            ("user@example.com", "testuser", "securepassword123"),
            ("test@example.com", "testuser", "password123"),
            ("user@example.com", "", "password123"),
            ("user@example.com", "user1", "SecurePass123"),
        ],
    )
    def test_the_examples_of_the_earlier_services_work_in_development(
        self, api: APIClient, email: str, username: str, password: str
    ) -> None:
        body = {"email": email, "password": password} | ({"username": username} if username else {})
        assert api.post(URL, body).status_code == 201

    def test_a_password_over_72_bytes_counts_in_full(self, api: APIClient) -> None:
        sign_up(api, password="correct horse " * 10 + "end")
        right = api.post("/api/v1/auth/login", login_body("correct horse " * 10 + "end"))
        wrong = api.post("/api/v1/auth/login", login_body("correct horse " * 10 + "END"))
        assert (right.status_code, wrong.status_code) == (200, 401)


def login_body(password: str) -> dict[str, str]:
    return {"email": "new@example.org", "password": password}


@pytest.mark.django_db(transaction=True)
def test_of_parallel_signups_with_one_email_one_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.hashing_slot.MAX_WAIT_S", 30.0)

    def attempt(number: int) -> int:
        try:
            client = APIClient(raise_request_exception=False)
            return sign_up(client, username=f"person-{number}").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(attempt, range(3))) == [201, 400, 400]
    assert User.objects.get().role == Role.AGENT


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["open", "company"])
def test_parallel_signups_get_different_generated_names(
    settings: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr("accounts.hashing_slot.MAX_WAIT_S", 30.0)
    settings.SIGNUP, settings.AUTH_RATE_LIMIT = mode, "off"

    def attempt(number: int) -> int:
        try:
            client = APIClient(raise_request_exception=False)
            body = {"email": f"same@d{number}.org", "company_name": "Same"}
            return sign_up(client, **body).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(attempt, range(3))) == [201] * 3


@pytest.mark.parametrize("field", ["email", "username"])
@pytest.mark.parametrize("url", [URL, "/api/v1/auth/login", "/api/v1/auth/password/reset"])
def test_text_that_is_slow_to_normalize_is_refused(api: APIClient, url: str, field: str) -> None:
    body = {"email": "x@example.org", "password": PASSWORD}
    response = api.post(url, body | {field: "a" + "\u0315\u0300" * 700 + "@example.org"})
    assert response.status_code in (400, 401)


@pytest.mark.parametrize("field", ["email", "username", "password", "invitation"])
@pytest.mark.parametrize("url", [URL, "/api/v1/auth/login", "/api/v1/auth/password/reset"])
def test_half_of_a_surrogate_pair_is_refused(api: APIClient, url: str, field: str) -> None:
    body = json.dumps({"email": "x@example.org", "password": PASSWORD, field: "a@\ud800.org"})
    assert api.post(url, body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("domain", ["bu\u0308cher.example", "b\u00fccher.example"])
def test_two_unicode_compositions_of_an_email_are_the_same(api: APIClient, domain: str) -> None:
    UserFactory(email="ann@xn--bcher-kva.example")
    assert get_errors(sign_up(api, email=f"ann@{domain}")) == {("email", "unique")}
