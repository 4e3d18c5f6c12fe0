from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import services
from accounts.models import Role, User
from accounts.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


def seed(**options: Any) -> str:
    out = StringIO()
    call_command("seed_admin", **options, stdout=out)
    return out.getvalue()


def test_creates_a_superuser_once(settings: Any) -> None:
    settings.FIRST_SUPERUSER_PASSWORD = "admin123"  # development's
    assert "created" in seed(email="Boss@example.org", password="admin123")
    assert "is there already" in seed(email="boss@example.org", password=PASSWORD)
    boss = User.objects.get()
    assert (boss.email, boss.username, boss.role) == ("boss@example.org", "boss", Role.ADMIN)
    assert boss.is_superuser
    assert boss.is_staff
    assert boss.check_password("admin123")


def test_a_deactivated_superuser_stays_deactivated(superuser: User, admin: User) -> None:
    User.objects.filter(pk=superuser.pk).update(is_active=False)
    assert "is deactivated: left as it is" in seed(email=superuser.email, password=PASSWORD)
    superuser.refresh_from_db()
    assert not superuser.is_active


def test_a_deleted_superuser_stays_deleted(superuser: User) -> None:
    User.objects.filter(pk=superuser.pk).soft_delete()
    assert "was deleted: left as it is" in seed(email=superuser.email, password=PASSWORD)
    assert not User.objects.live().exists()


def test_of_an_address_that_is_used_again_the_living_account_counts(superuser: User) -> None:
    User.objects.filter(pk=superuser.pk).soft_delete()
    services.create_user(
        email=superuser.email, password=None, company=superuser.company, role=Role.AGENT
    )
    assert "is no superuser" in seed(email=superuser.email, password=PASSWORD)


def test_an_agent_does_not_become_a_superuser(owner: User) -> None:
    before = User.objects.values().get()
    assert "is no superuser: left as it is" in seed(email=owner.email, password=PASSWORD)
    assert User.objects.values().get() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"email": "nope"}, "valid email address"),
        ({"email": ""}, "valid email address"),
        ({"email": "a" * 300 + "@example.org"}, "At most 254 characters"),
        ({"email": "a\0@example.org"}, "valid email address"),
        ({"password": "1"}, "too short"),
        ({"password": "boss@example.org"}, "too similar"),
        ({"password": ""}, "FIRST_SUPERUSER_PASSWORD"),
        ({"username": "no spaces"}, "A username holds"),
        ({"username": "OWNER"}, "username exists already"),
    ],
)
def test_says_what_is_wrong(owner: User, wrong: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        seed(**{"email": "boss@example.org", "password": PASSWORD, **wrong})
    assert User.objects.count() == 1
