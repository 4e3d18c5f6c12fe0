from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.events import record
from common.events.context import client_of_events
from common.events.models import Event
from common.ids import first_uuid7_of
from integrations.tests.audit_support import chain_all, execute

pytestmark = pytest.mark.django_db
AUDIT = "/api/v1/audit"


@pytest.fixture
def product(owner: User) -> Product:
    return ProductFactory(company=owner.company, name="Pump")


@pytest.fixture
def client(as_user: Any, admin: User) -> APIClient:
    return as_user(admin)


def types_of(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [entry["type"] for entry in response.json()["items"]]


def test_shows_the_newest_first_and_who_did_it(
    client: APIClient, admin: User, product: Product
) -> None:
    with client_of_events(read_address=lambda: "192.0.2.7", read_user=lambda: None):
        record("product.created", by=admin, target=product)
        record("product.updated", by=admin, target=product, changes={"name": ("Pumpe", "Pump")})
    entry, first = client.get(AUDIT, {"action": "product.*"}).json()["items"]
    assert (entry["type"], first["type"]) == ("product.updated", "product.created")
    assert entry["actor"] == {"type": "user", "id": str(admin.pk), "label": "admin"}
    assert entry["targets"] == [{"type": "product", "id": str(product.pk), "label": "Pump"}]
    assert entry["changes"] == {"name": {"old": "Pumpe", "new": "Pump"}}
    assert (entry["outcome"], entry["ip_address"]) == ("success", "192.0.2.7")
    assert entry["details"] == {}
    assert (entry["hash"], entry["previous_hash"]) == (None, None)
    assert entry["data"]["name"] == "Pump"


def test_shows_what_was_denied_and_failed_sign_ins(client: APIClient, admin: User) -> None:
    for action, outcome in (("access.denied", "denied"), ("login.failed", "failed")):
        record(
            action,
            by=None,
            target=None,
            company_id=admin.company_id,
            outcome=outcome,
            username="eve",
        )
    assert types_of(client.get(AUDIT, {"outcome": "denied"})) == ["access.denied"]
    (entry,) = client.get(AUDIT, {"outcome": "failed"}).json()["items"]
    assert entry["details"] == {"username": "eve"}


class TestFilters:
    @pytest.fixture(autouse=True)
    def _events(self, admin: User, colleague: User, product: Product) -> None:
        record("product.created", by=admin, target=product)
        record("product.deleted", by=colleague, target=product)
        record("user.updated", by=colleague, target=colleague)

    def test_by_actor(self, client: APIClient, colleague: User) -> None:
        response = client.get(AUDIT, {"actor": str(colleague.pk).upper()})
        assert types_of(response) == ["user.updated", "product.deleted"]

    @pytest.mark.parametrize(
        ("action", "types"),
        [
            ("product.created", ["product.created"]),
            ("product.*", ["product.deleted", "product.created"]),
            ("user.*, product.created", ["user.updated", "product.created"]),
            ("note.*", []),
        ],
    )
    def test_by_action(self, client: APIClient, action: str, types: list[str]) -> None:
        assert types_of(client.get(AUDIT, {"action": action})) == types

    def test_by_target(self, client: APIClient, product: Product) -> None:
        response = client.get(AUDIT, {"target": str(product.pk).upper()})
        assert types_of(response) == ["product.deleted", "product.created"]
        assert types_of(client.get(AUDIT, {"target": "17"})) == []

    def test_by_time(self, client: APIClient) -> None:
        time = Event.objects.get(action="product.deleted").occurred_at.isoformat()
        query = {"action": "product.*"}
        assert types_of(client.get(AUDIT, {**query, "from": time})) == ["product.deleted"]
        assert types_of(client.get(AUDIT, {**query, "to": time})) == ["product.created"]

    def test_by_request(self, client: APIClient) -> None:
        client.get(AUDIT, {"action": "note.*"}, HTTP_X_REQUEST_ID="abc-17")
        assert types_of(client.get(AUDIT, {"request_id": "abc-17"})) == ["audit.read"]

    def test_the_order_can_be_turned(self, client: APIClient) -> None:
        newest = types_of(client.get(AUDIT, {"action": "product.*", "ordering": "-occurred_at"}))
        oldest = types_of(client.get(AUDIT, {"action": "product.*", "ordering": "occurred_at"}))
        assert newest == oldest[::-1] == ["product.deleted", "product.created"]

    def test_every_wrong_value_is_named(self, client: APIClient) -> None:
        query = {
            "actor": "x",
            "action": "product.create",
            "target": "x" * 40,
            "from": "yesterday",
            "to": "1",
            "outcome": "good",
            "request_id": "\x00",
            "ordering": "name",
        }
        response = client.get(AUDIT, query)
        assert response.status_code == 400
        errors = {error["field"]: error["message"] for error in response.json()["errors"]}
        assert errors.keys() == query.keys()
        assert "product.created" in errors["action"]


def test_shows_only_the_fields_that_are_named(
    client: APIClient, admin: User, product: Product
) -> None:
    record("product.updated", by=admin, target=product)
    response = client.get(AUDIT, {"action": "product.*", "fields": "outcome,type"})
    assert response.json()["items"] == [{"outcome": "success", "type": "product.updated"}]


class TestReading:
    def test_is_recorded_once_with_its_filters(self, client: APIClient, admin: User) -> None:
        for page in ("1", "2", "3"):
            client.get(AUDIT, {"action": "note.*", "page": page})
        (event,) = Event.objects.filter(action="audit.read")
        assert (event.actor_id, event.company_id) == (admin.pk, admin.company_id)
        assert event.actor_values["filters"] == "action=note.%2A"

    def test_a_page_that_nothing_preceded_is_recorded(self, client: APIClient) -> None:
        client.get(AUDIT, {"page": "2"})
        assert Event.objects.filter(action="audit.read").exists()

    def test_no_page_repeats_an_entry(
        self, client: APIClient, admin: User, product: Product
    ) -> None:
        for _ in range(3):
            record("product.updated", by=admin, target=product)
        client.get(AUDIT)
        pages = [client.get(AUDIT, {"page": n, "page_size": 2}).json() for n in (1, 2, 3)]
        assert len({page["total"] for page in pages}) == 1
        ids = [entry["id"] for page in pages for entry in page["items"]]
        newest = Event.objects.exclude(pk=Event.objects.latest("sequence").pk)
        assert ids == [str(event.id) for event in newest.order_by("-sequence")]

    def test_a_refused_request_is_no_reading(self, client: APIClient) -> None:
        client.get(AUDIT, {"outcome": "good"})
        assert not Event.objects.filter(action="audit.read").exists()

    def test_after_a_pause_a_page_is_a_new_reading(self, client: APIClient) -> None:
        client.get(AUDIT)
        old_id = first_uuid7_of(timezone.now() - timedelta(minutes=11))
        execute(f"UPDATE common_event SET id = '{old_id}' WHERE action = 'audit.read'")
        client.get(AUDIT, {"page": 2})
        assert Event.objects.filter(action="audit.read").count() == 2


class TestWhoMayRead:
    @pytest.fixture(autouse=True)
    def _events(self, admin: User, product: Product) -> None:
        record("product.created", by=admin, target=product)

    @pytest.mark.parametrize("person", ["owner", "worker_account"])
    def test_other_roles_may_not(
        self, as_user: Any, person: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(person))
        for path in (AUDIT, f"{AUDIT}/export"):
            assert client.get(path).status_code == 403

    def test_needs_a_sign_in(self, api: APIClient) -> None:
        for path in (AUDIT, f"{AUDIT}/export"):
            assert api.get(path).status_code == 401

    def test_another_company_sees_nothing(self, as_user: Any, outsider: User) -> None:
        assert types_of(as_user(outsider).get(AUDIT, {"action": "product.*"})) == []

    def test_a_superuser_sees_all_companies(self, as_user: Any, superuser: User) -> None:
        response = as_user(superuser).get(AUDIT, {"action": "product.*"})
        assert types_of(response) == ["product.created"]


def test_personal_values_are_shown_while_the_person_exists(
    client: APIClient, admin: User, colleague: User
) -> None:
    with client_of_events(read_address=lambda: "192.0.2.7", read_user=lambda: None):
        record("user.updated", by=colleague, target=colleague, changes={"full_name": ("A", "B")})
    query = {"action": "user.updated"}
    (entry,) = client.get(AUDIT, query).json()["items"]
    assert (entry["ip_address"], entry["targets"][0]["label"]) == ("192.0.2.7", colleague.email)
    User.objects.filter(pk=colleague.pk).delete()
    (entry,) = client.get(AUDIT, query).json()["items"]
    assert (entry["ip_address"], entry["targets"][0]["label"]) == (None, "")
    assert entry["actor"]["label"] == ""
    assert entry["changes"] == entry["details"] == {}


def test_the_number_of_queries_does_not_grow(
    client: APIClient, admin: User, product: Product, count_queries: Callable[..., int]
) -> None:
    query = {"action": "product.*", "page_size": 100}
    record("product.updated", by=admin, target=product)
    one = count_queries(lambda: client.get(AUDIT, query))
    for _ in range(29):
        record("product.updated", by=admin, target=product)
    assert count_queries(lambda: client.get(AUDIT, query)) == one


@pytest.mark.django_db(transaction=True)
def test_each_entry_has_the_hash_of_the_one_before(
    client: APIClient, admin: User, outsider: User, product: Product
) -> None:
    for user in (admin, outsider, admin):
        record("product.updated", by=user, target=product)
    record("user.updated", by=outsider, target=outsider)
    chain_all()
    later, earlier = client.get(AUDIT, {"action": "product.*", "page_size": 2}).json()["items"]
    assert later["previous_hash"] == earlier["hash"]
    assert len(later["hash"]) == 64
    assert later["hash"] != earlier["hash"]
