from typing import Any

import bcrypt
import jwt
import pytest
from rest_framework.test import APIClient

from accounts.models import Login, User
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/login"


@pytest.mark.parametrize("url", [URL, "/api/v1/auth/login/json", "/api/auth/login/"])
@pytest.mark.parametrize(
    "name",
    [
        {"username": "owner"},
        {"username": "OWNER"},
        {"username": "Owner@Example.org"},
        {"email": "owner@example.org"},
    ],
)
def test_login_by_username_or_email(api: APIClient, owner: User, url: str, name: dict) -> None:
    response = api.post(url, name | {"password": PASSWORD})
    assert response.status_code == 200
    body = response.json()
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 1800
    assert body["user"]["id"] == str(owner.pk)
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}


@pytest.mark.parametrize("charset", ["", "; charset=UTF-8"])
@pytest.mark.parametrize(
    "grant",
    ["grant_type=password&scope=", "grant_type=&scope=&client_id=&client_secret=", "scope=a+b"],
)
def test_login_with_the_oauth2_password_form(
    api: APIClient, owner: User, grant: str, charset: str
) -> None:
    """As clients send it that also name themselves in a header, such as Swagger UI."""
    form = f"{grant}&username=owner&password=correct-horse-battery"
    content_type = f"application/x-www-form-urlencoded{charset}"
    headers = {"authorization": "Basic Og==", "x-requested-with": "XMLHttpRequest"}
    response = api.post(URL, form, content_type=content_type, headers=headers)
    assert response.status_code == 200


def test_the_access_token_authenticates_requests(api: APIClient, owner: User) -> None:
    token = api.post(URL, {"username": "owner", "password": PASSWORD}).json()["access_token"]
    me = api.get("/api/v1/auth/me", headers={"authorization": f"Bearer {token}"})
    assert me.json()["email"] == "owner@example.org"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["iss"], claims["type"]) == ("bureau", "bureau", "access")


def test_a_login_is_stored_with_its_device_and_time(api: APIClient, owner: User) -> None:
    api.post(URL, {"username": "owner", "password": PASSWORD}, headers={"user-agent": "curl/8"})
    login = Login.objects.get(user=owner)
    assert (login.ip_address, login.user_agent) == ("127.0.0.1", "curl/8")
    owner.refresh_from_db()
    assert owner.last_login is not None


def get_refusal(api: APIClient, **fields: Any) -> dict:
    response = api.post(URL, fields)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    body = response.json()
    body.pop("request_id")
    return body


def test_wrong_unknown_and_inactive_accounts_get_the_same_response(
    api: APIClient, owner: User
) -> None:
    UserFactory(username="gone", is_active=False)
    UserFactory(username="idle", company__is_active=False)
    wrong = get_refusal(api, username="owner", password="not-this-one")
    assert get_refusal(api, username="nobody", password=PASSWORD) == wrong
    assert get_refusal(api, username="gone", password=PASSWORD) == wrong
    assert get_refusal(api, username="idle", password=PASSWORD) == wrong
    assert get_refusal(api, username="x@ünknown..org", password=PASSWORD) == wrong
    assert not Login.objects.exists()


def test_missing_fields_are_named(api: APIClient) -> None:
    response = api.post(URL, {})
    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {"username", "password"}
    response = api.post(URL, {"password": PASSWORD})
    assert {error["field"] for error in response.json()["errors"]} == {"username"}
    response = api.post(URL, {"email": "owner@example.org"})
    assert {error["field"] for error in response.json()["errors"]} == {"password"}
    form = api.post(URL, "username=&nonsense=", content_type="application/x-www-form-urlencoded")
    fields = {error["field"] for error in form.json()["errors"]}
    assert fields == {"username", "password", "nonsense"}


def test_an_invalid_token_in_the_header_is_ignored(api: APIClient, owner: User) -> None:
    body = {"username": "owner", "password": PASSWORD}
    response = api.post(URL, body, headers={"authorization": "Bearer nonsense"})
    assert response.status_code == 200


@pytest.mark.parametrize("prefix", ["", "bcrypt$"])
def test_an_imported_bcrypt_hash_is_upgraded_at_login(
    api: APIClient, owner: User, prefix: str
) -> None:
    password = "pässword " * 12
    hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    User.objects.filter(pk=owner.pk).update(password=prefix + hashed)
    assert api.post(URL, {"username": "owner", "password": "wrong " + password}).status_code == 401
    assert api.post(URL, {"username": "owner", "password": password}).status_code == 200
    owner.refresh_from_db()
    assert owner.password.startswith("argon2$argon2id$")
    assert api.post(URL, {"username": "owner", "password": password}).status_code == 200
    # The upgraded hash covers the whole password, not only its first 72 bytes.
    assert api.post(URL, {"username": "owner", "password": password + "x"}).status_code == 401


def test_hashes_use_the_configured_argon2_parameters(owner: User) -> None:
    assert "$m=19456,t=2,p=1$" in owner.password
