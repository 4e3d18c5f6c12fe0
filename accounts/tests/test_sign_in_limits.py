"""Wrong passwords are counted for the account, wherever and however it is named."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/api/v1/auth/login"
CHANGE = "/api/v1/auth/password/change"
SENTENCE = r"Too many attempts; wait (59|60) seconds\."


def sign_in(name: str, password: str = "wrong", *, url: str = LOGIN, address: str = "1.1.1.1"):
    return APIClient().post(url, {"username": name, "password": password}, REMOTE_ADDR=address)


def sign_in_to_admin_site(name: str, password: str = "wrong") -> Any:
    form = {"username": name, "password": password}
    return Client().post("/admin/login/", form, REMOTE_ADDR="1.1.1.1")


def guess_in_admin_site(client: Client, old_password: str = "wrong") -> Any:
    form = {
        "old_password": old_password,
        "new_password1": "violet-anchor-42",
        "new_password2": "violet-anchor-42",
    }
    return client.post("/admin/password_change/", form, REMOTE_ADDR="1.1.1.1")


@pytest.fixture
def failures(superuser: User, as_user: Any) -> list[Callable[[], Any]]:
    """Five failed attempts on the superuser's account, each by another form or spelling."""
    browser, client = Client(), as_user(superuser)
    browser.force_login(superuser)
    body = {"current_password": "wrong", "new_password": "violet-anchor-42"}
    return [
        lambda: sign_in("super"),
        lambda: sign_in("ＳＵＰＥＲ@example.org", url="/api/auth/login/json/"),
        lambda: sign_in_to_admin_site(" Super@Example.org "),
        lambda: client.post(CHANGE, body, REMOTE_ADDR="1.1.1.1"),
        lambda: guess_in_admin_site(browser),
    ]


def test_all_forms_and_spellings_share_one_count(
    superuser: User, as_user: Any, failures: list
) -> None:
    browser, client = Client(), as_user(superuser)
    browser.force_login(superuser)
    assert [fail().status_code for fail in failures] == [401, 401, 200, 400, 200]
    for name in ("SUPER", "super@example.org"):
        refused = sign_in(name, PASSWORD)
        assert refused.status_code == 429
        assert re.fullmatch(SENTENCE, refused.json()["detail"])
        assert refused["Retry-After"] == refused["RateLimit-Reset"]
        assert refused["RateLimit-Remaining"] == "0"
    body = {"current_password": PASSWORD, "new_password": "violet-anchor-42"}
    assert client.post(CHANGE, body, REMOTE_ADDR="1.1.1.1").status_code == 429
    for page in (sign_in_to_admin_site("super", PASSWORD), guess_in_admin_site(browser, PASSWORD)):
        assert (page.status_code, page["Retry-After"]) == (429, page["RateLimit-Reset"])
        assert re.search(SENTENCE, page.content.decode())
        assert "Please enter the correct" not in page.content.decode()
        assert "was entered incorrectly" not in page.content.decode()
    assert sign_in("super", PASSWORD, address="2.2.2.2").status_code == 200


def test_right_passwords_are_not_counted(superuser: User, failures: list) -> None:
    for _ in range(4):
        failures.pop()()
    for _ in range(12):
        response = sign_in("super", PASSWORD)
        assert response.status_code == 200
    assert sign_in_to_admin_site("super", PASSWORD).status_code == 302
    assert (response["RateLimit-Limit"], response["RateLimit-Remaining"]) == ("5", "1")
    assert failures.pop()().status_code == 401
    assert sign_in("super", PASSWORD).status_code == 429


def test_unknown_names_are_counted_by_their_normal_form() -> None:
    names = ["Nobody@b\u00fccher.example", "nobody@XN--BCHER-KVA.example", " NOBODY@bücher.example"]
    assert [sign_in(name).status_code for name in names + names[:2]] == [401] * 5
    assert sign_in(names[2]).status_code == 429
    assert sign_in("somebody").status_code == 401


def test_an_address_guesses_at_few_accounts(owner: User) -> None:
    assert [sign_in(f"name{number}").status_code for number in range(10)] == [401] * 10
    assert sign_in("owner", PASSWORD).status_code == 429
    assert sign_in("owner", PASSWORD, address="2.2.2.2").status_code == 200


def test_strangers_do_not_lock_a_user_out_of_a_known_address(owner: User) -> None:
    assert sign_in("owner", PASSWORD, address="9.9.9.9").status_code == 200
    for number in range(8):
        sign_in("owner", address=f"1.1.1.{number}")
    assert sign_in("owner@example.org", PASSWORD, address="8.8.8.8").status_code == 429
    assert sign_in("owner@example.org", PASSWORD, address="9.9.9.9").status_code == 200


def test_requests_are_counted_for_the_address_before_their_body_is_read(settings: Any) -> None:
    settings.API_RATE_LIMIT = "3/minute"
    statuses = [
        APIClient().post(LOGIN, body, content_type="application/json").status_code
        for body in ("{", "[]", "{}", "{")
    ]
    assert statuses == [400, 400, 400, 429]


def test_an_account_is_found_by_the_domain_that_release_1_0_stored(owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(email="owner@strasse.de")
    assert sign_in("Owner@stra\u00dfe.de", PASSWORD).status_code == 200
    # The domains differ: the other one may belong to somebody else, who signs up later.
    body = {"email": "owner@stra\u00dfe.de", "password": "violet-anchor-42"}
    assert APIClient().post("/api/v1/auth/signup", body).status_code == 201
    assert sign_in("owner@stra\u00dfe.de", PASSWORD).status_code == 401
    assert sign_in("owner@stra\u00dfe.de", "violet-anchor-42").status_code == 200
    assert sign_in("owner@strasse.de", PASSWORD).status_code == 200
