"""A password is right in each of its Unicode spellings, wherever it is set and typed."""

from collections.abc import Callable, Iterator
from typing import Any

import bcrypt
import pytest
from django.contrib.auth.hashers import get_hashers, make_password
from django.contrib.auth.management.commands import changepassword
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts import services
from accounts.hashers import Argon2Hasher
from accounts.link_secrets import get_mailed_secret
from accounts.models import PasswordReset, User
from accounts.tests.factories import PASSWORD
from accounts.tests.support import run_due_jobs

pytestmark = pytest.mark.django_db
# Composed, decomposed, and with full-width letters, a ligature and a no-break space.
COMPOSED = "caf\u00e9 \ud55c\uae00 fine-42"
DECOMPOSED = "cafe\u0301 \u1112\u1161\u11ab\u1100\u1173\u11af fine-42"
COMPATIBLE = "\uff43af\u00e9\u00a0\ud55c\uae00 \ufb01ne-\uff14\uff12"
SPELLINGS = [COMPOSED, DECOMPOSED, COMPATIBLE]


class CheapHasher(Argon2Hasher):
    time_cost, memory_cost = 1, 8


@pytest.fixture(autouse=True)
def _cheap_hashes(settings: Any) -> Iterator[None]:
    bcrypt_hasher = "accounts.hashers.ImportedBcryptHasher"
    settings.PASSWORD_HASHERS = [f"{__name__}.CheapHasher", bcrypt_hasher]
    yield
    get_hashers.cache_clear()


def can_sign_in(password: str) -> bool:
    body = {"username": "owner", "password": password}
    return APIClient().post("/api/v1/auth/login", body).status_code == 200


def set_by_change(owner: User, as_user: Any, password: str) -> None:
    body = {"current_password": PASSWORD, "new_password": password}
    assert as_user(owner).post("/api/v1/auth/password/change", body).status_code == 204


def set_by_admin(owner: User, as_user: Any, password: str) -> None:
    admin = User.objects.create_user(
        email="a@example.org", username="a", company=owner.company, role="admin", password=None
    )
    response = as_user(admin).patch(f"/api/v1/users/{owner.pk}", {"password": password})
    assert response.status_code == 200


def set_by_link_page(owner: User, as_user: Any, password: str) -> None:
    services.send_password_reset_mail(PasswordReset.objects.create(email=owner.email))
    secret = get_mailed_secret(PasswordReset.objects.get())
    page = Client().post(f"/password/{secret}", {"new_password": password})
    assert b"was changed" in page.content


def set_by_admin_site(owner: User, as_user: Any, password: str) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    browser = Client()
    browser.force_login(owner)
    form = {"old_password": PASSWORD, "new_password1": password, "new_password2": password}
    assert browser.post("/admin/password_change/", form).status_code == 302


def set_by_command(owner: User, as_user: Any, password: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changepassword.getpass, "getpass", lambda prompt: password)
        call_command("changepassword", owner.email)


SETTERS = [set_by_change, set_by_admin, set_by_link_page, set_by_admin_site, set_by_command]


@pytest.mark.parametrize("set_password", SETTERS)
def test_all_spellings_sign_in(
    owner: User, as_user: Any, set_password: Callable[[User, Any, str], None]
) -> None:
    set_password(owner, as_user, DECOMPOSED)
    assert all(can_sign_in(spelling) for spelling in SPELLINGS)
    assert not can_sign_in(COMPOSED.replace("\u00e9", "e"))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_spellings_are_the_current_password(owner: User, as_user: Any, spelling: str) -> None:
    services.change_password(owner, password=COMPATIBLE, by=owner)
    body = {"current_password": spelling, "new_password": "violet-anchor-42"}
    assert as_user(owner).post("/api/v1/auth/password/change", body).status_code == 204


def test_all_spellings_sign_in_to_the_admin_site(superuser: User) -> None:
    services.change_password(superuser, password=COMPOSED, by=superuser)
    for spelling in SPELLINGS:
        form = {"username": "super", "password": spelling}
        assert Client().post("/admin/login/", form).status_code == 302


def test_an_account_is_created_with_any_spelling(api: APIClient) -> None:
    body = {"email": "mia@example.org", "username": "owner", "password": DECOMPOSED}
    assert api.post("/api/v1/auth/signup", body).status_code == 201
    assert can_sign_in(COMPOSED)


@pytest.mark.parametrize("command", ["seed_admin", "createsuperuser"])
def test_commands_create_superusers_with_any_spelling(
    company: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    options: dict[str, Any] = {"email": "Boss@example.org", "username": "owner"}
    if command == "seed_admin":
        call_command(command, **options, password=DECOMPOSED)
    else:
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", DECOMPOSED)
        call_command(command, **options, company=str(company.pk), interactive=False)
    assert can_sign_in(COMPOSED)
    user = User.objects.get()
    assert (user.email, user.role) == ("boss@example.org", "admin")
    assert (user.is_staff, user.is_superuser) == (True, True)


class TestEarlierHashes:
    """Hashes of the password as it was typed."""

    @pytest.mark.parametrize("typed", SPELLINGS)
    def test_the_spelling_that_was_set_signs_in_and_then_all_do(
        self, owner: User, typed: str
    ) -> None:
        User.objects.filter(pk=owner.pk).update(password=make_password(typed))
        assert not can_sign_in("wr\u00f6ng")
        assert all(can_sign_in(spelling) for spelling in [typed, *SPELLINGS])

    def test_an_imported_hash_is_upgraded(self, owner: User) -> None:
        hashed = bcrypt.hashpw(DECOMPOSED.encode(), bcrypt.gensalt(4)).decode()
        User.objects.filter(pk=owner.pk).update(password=hashed)
        assert all(can_sign_in(spelling) for spelling in [DECOMPOSED, *SPELLINGS])
        owner.refresh_from_db()
        assert owner.password.startswith("argon2$")

    def test_an_upgrade_is_no_change_of_the_password(self, owner: User, as_user: Any) -> None:
        User.objects.filter(pk=owner.pk).update(password=make_password(DECOMPOSED))
        client = as_user(owner)
        assert can_sign_in(DECOMPOSED)
        assert client.get("/api/v1/auth/me").status_code == 200
        assert run_due_jobs() == []


@pytest.mark.parametrize("password", ["e\u0301" * 7, "\uff11\uff12\uff13\uff14\uff15\uff16\uff17"])
def test_the_strength_is_that_of_the_normal_form(api: APIClient, password: str) -> None:
    body = {"email": "mia@example.org", "password": password}
    response = api.post("/api/v1/auth/signup", body)
    assert response.status_code == 400
    codes = {error["code"] for error in response.json()["errors"]}
    assert "password_too_short" in codes


def test_emails_and_usernames_have_one_spelling_too(api: APIClient, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(email="owner@xn--caf-dma.org", username="owner")
    for name in ("owner@cafe\u0301.org", "OWNER@caf\u00e9.org", "\uff4f\uff57ner"):
        body = {"username": name, "password": PASSWORD}
        assert api.post("/api/v1/auth/login", body).status_code == 200
