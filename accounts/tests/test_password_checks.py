"""Refused passwords cost the same hashes, whether the account exists or not."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import bcrypt
import pytest
from django.contrib.auth.hashers import get_hashers
from rest_framework.test import APIClient

from accounts import hashers
from accounts.models import User
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
LOGIN = "/api/v1/auth/login"
# Far below the real one, so that the tests are fast. Bcrypt is counted in its rounds.
TEST_COST = 5
costs: Counter[str] = Counter()


class CountingArgon2Hasher(hashers.Argon2Hasher):
    time_cost, memory_cost = 1, 8  # cheap, as only the number of hashes matters here

    def encode(self, password: str, salt: str) -> str:
        costs["argon2"] += 1
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        costs["argon2"] += 1
        return super().verify(password, encoded)


class CountingBcryptHasher(hashers.ImportedBcryptHasher):
    rounds = TEST_COST

    def encode(self, password: str, salt: Any) -> str:
        costs["bcrypt"] += 2 ** int(salt.split(b"$")[2])
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        costs["bcrypt"] += 2 ** int(encoded.split("$")[3])
        return super().verify(password, encoded)


@pytest.fixture(autouse=True)
def _counting_hashers(settings: Any) -> Iterator[None]:
    settings.PASSWORD_HASHERS = [
        f"{__name__}.CountingArgon2Hasher",
        f"{__name__}.CountingBcryptHasher",
    ]
    yield
    get_hashers.cache_clear()


def set_bcrypt_password(user: User, *, cost: int, prefix: str = "") -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
    User.objects.filter(pk=user.pk).update(password=prefix + hashed)


def get_cost_of_refusal(name: str, password: str = "wrong") -> dict[str, int]:
    costs.clear()
    response = APIClient().post(LOGIN, {"username": name, "password": password})
    assert response.status_code == 401
    return dict(costs)


@pytest.fixture
def people(owner: User, settings: Any) -> list[tuple[str, str]]:
    """The names and passwords of refused sign-ins, one of each kind but the imported ones."""
    settings.AUTH_RATE_LIMIT = "off"
    gone = UserFactory(username="gone")
    User.objects.filter(pk=gone.pk).soft_delete()
    UserFactory(username="inactive", is_active=False)
    UserFactory(username="idle", company__is_active=False)
    machine = UserFactory(username="machine")
    machine.set_unusable_password()
    machine.save()
    names = ("inactive", "idle", "gone")
    return [
        *((name, PASSWORD) for name in names),
        *((name, "wrong") for name in ("owner", "nobody", "machine", "x@y..z", *names)),
    ]


def test_every_refusal_costs_one_hash(people: list) -> None:
    found = {str(get_cost_of_refusal(*person)) for person in people}
    assert found == {"{'argon2': 1}"}


@pytest.mark.parametrize(("cost", "prefix"), [(4, ""), (TEST_COST, "bcrypt$")])
def test_with_imported_accounts_every_refusal_costs_both_hashes(
    people: list, colleague: User, cost: int, prefix: str
) -> None:
    set_bcrypt_password(colleague, cost=cost, prefix=prefix)
    gone = UserFactory(username="imported-and-inactive", is_active=False)
    set_bcrypt_password(gone, cost=cost, prefix=prefix)
    imported = [("colleague", "wrong"), (gone.username, PASSWORD), (gone.username, "wrong")]
    both = {"argon2": 1, "bcrypt": 2**TEST_COST}
    for person in [*imported, *people]:
        assert get_cost_of_refusal(*person) == both, person


@pytest.mark.parametrize("password", ["cafe\u0301", "\uff43afe"])
def test_a_password_that_is_not_in_its_normal_form_costs_both_hashes(
    people: list, colleague: User, password: str
) -> None:
    names = [name for name, _ in people]
    found = {str(get_cost_of_refusal(name, password)) for name in names}
    assert found == {"{'argon2': 2}"}
    set_bcrypt_password(colleague, cost=4)
    costs_of_all = [get_cost_of_refusal(name, password) for name in [*names, "colleague"]]
    assert costs_of_all == [{"argon2": 2, "bcrypt": 2 * 2**TEST_COST}] * len(costs_of_all)


def test_the_number_of_queries_does_not_show_which_accounts_exist(
    people: list, count_queries: Any
) -> None:
    counts = {count_queries(lambda p=person: get_cost_of_refusal(*p)) for person in people}
    assert len(counts) == 1


def test_once_all_are_upgraded_only_the_common_hash_is_left(people: list, colleague: User) -> None:
    set_bcrypt_password(colleague, cost=4)
    body = {"username": "colleague", "password": PASSWORD}
    assert APIClient().post(LOGIN, body).status_code == 200
    assert get_cost_of_refusal("nobody") == {"argon2": 1}
