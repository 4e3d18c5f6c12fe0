from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import services
from accounts.models import Role, User
from accounts.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


def run_seed_admin(**options: Any) -> str:
    out = StringIO()
    call_command("seed_admin", **options, stdout=out)
    return out.getvalue()


def test_creates_the_superuser_once(settings: Any) -> None:
    settings.FIRST_SUPERUSER_PASSWORD = "admin123"  # the default in development
    assert "created" in run_seed_admin(email="Boss@example.org", password="admin123")
    assert "already exists" in run_seed_admin(email="boss@example.org", password=PASSWORD)
    user = User.objects.get()
    assert (user.email, user.username, user.role) == ("boss@example.org", "boss", Role.ADMIN)
    assert user.is_superuser
    assert user.is_staff
    assert user.check_password("admin123")


def test_a_deactivated_superuser_stays_deactivated(superuser: User, admin: User) -> None:
    User.objects.filter(pk=superuser.pk).update(is_active=False)
    assert "is deactivated and is left unchanged" in run_seed_admin(
        email=superuser.email, password=PASSWORD
    )
    superuser.refresh_from_db()
    assert not superuser.is_active


def test_a_deleted_superuser_stays_deleted(superuser: User) -> None:
    User.objects.filter(pk=superuser.pk).soft_delete()
    assert "was deleted and is left unchanged" in run_seed_admin(
        email=superuser.email, password=PASSWORD
    )
    assert not User.objects.live().exists()


def test_a_live_account_takes_precedence_over_a_deleted_one_with_its_email(superuser: User) -> None:
    User.objects.filter(pk=superuser.pk).soft_delete()
    services.create_user(
        by=None, email=superuser.email, password=None, company=superuser.company, role=Role.AGENT
    )
    assert "is not a superuser" in run_seed_admin(email=superuser.email, password=PASSWORD)


def test_an_agent_does_not_become_a_superuser(owner: User) -> None:
    before = User.objects.values().get()
    assert "is not a superuser and is left unchanged" in run_seed_admin(
        email=owner.email, password=PASSWORD
    )
    assert User.objects.values().get() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"email": "nope"}, "valid email address"),
        ({"email": ""}, "valid email address"),
        ({"email": "a" * 300 + "@example.org"}, "At most 254 characters"),
        ({"email": "a\0@example.org"}, "valid email address"),
        ({"password": "1"}, "too short"),
        ({"password": "boss@example.org"}, "too similar"),
        ({"password": ""}, "FIRST_SUPERUSER_PASSWORD"),
        ({"username": "no spaces"}, "A username can contain"),
        ({"username": "OWNER"}, "username already exists"),
    ],
)
def test_invalid_options_are_reported(owner: User, options: dict[str, str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run_seed_admin(**{"email": "boss@example.org", "password": PASSWORD, **options})
    assert User.objects.count() == 1
