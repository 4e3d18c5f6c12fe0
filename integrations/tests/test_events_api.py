from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.tests.factories import ProductFactory
from common.events import record
from common.tests.support import wait_until_settled

pytestmark = pytest.mark.django_db(transaction=True)
EVENTS = "/api/v1/events"


def record_products(count: int, *, by: User) -> list[Any]:
    products = ProductFactory.create_batch(count, company=by.company)
    for product in products:
        record("product.created", by=by, target=product)
    wait_until_settled()
    return products


def read_events(client: APIClient, query: str) -> list[Any]:
    wait_until_settled()
    return client.get(f"{EVENTS}?{query}").json()["items"]


def test_shows_what_happened_and_the_row(as_user: Any, admin: User, owner: User) -> None:
    (product,) = record_products(1, by=admin)
    (event,) = read_events(as_user(owner), "types=product.created")
    assert event["type"] == "product.created"
    assert event["actor"] == {"type": "user", "id": str(admin.pk), "label": "admin"}
    assert event["company_id"] == str(admin.company_id)
    assert event["targets"] == [{"type": "product", "id": str(product.pk), "label": product.name}]
    assert event["data"]["sku"] == product.sku
    assert event["changes"] == {}


def test_a_request_is_named_by_its_id(as_user: Any, owner: User) -> None:
    client = as_user(owner)
    client.post("/api/v1/notes", {"raw_text": "Hello."}, HTTP_X_REQUEST_ID="abc-1")
    (event,) = read_events(client, "types=note.created")
    assert event["request_id"] == "abc-1"
    assert event["data"]["excerpt"] == "Hello."
    assert "raw_text" not in event["data"]


def test_reads_on_without_loss_or_repetition(as_user: Any, admin: User) -> None:
    client = as_user(admin)
    products = record_products(5, by=admin)
    seen, since, has_more = [], "", True
    while has_more:
        query = f"types=product.*&page_size=2{since}"
        page = client.get(f"{EVENTS}?{query}").json()
        seen += [event["targets"][0]["id"] for event in page["items"]]
        since, has_more = f"&since={page['next']}", page["has_more"]
    assert seen == [str(product.pk) for product in products]
    page = client.get(f"{EVENTS}?types=product.*{since}").json()
    assert (page["items"], since) == ([], f"&since={page['next']}")


def test_a_deleted_row_has_no_data(as_user: Any, admin: User) -> None:
    (product,) = record_products(1, by=admin)
    product.delete()
    (event,) = read_events(as_user(admin), "types=product.*")
    assert event["data"] is None


def test_what_describes_a_person_is_shown_while_the_person_exists(
    as_user: Any, admin: User, colleague: User
) -> None:
    record("user.updated", by=colleague, target=colleague, changes={"full_name": ("Ann", "Anna")})
    (event,) = read_events(as_user(admin), "types=user.updated")
    assert event["actor"]["label"] == "colleague"
    assert event["targets"][0]["label"] == colleague.email
    assert event["changes"] == {"full_name": {"old": "Ann", "new": "Anna"}}
    User.objects.filter(pk=colleague.pk).delete()
    (event,) = read_events(as_user(admin), "types=user.updated")
    assert event["actor"]["label"] == event["targets"][0]["label"] == ""
    assert event["changes"] == {}


def test_a_stranger_sees_nothing(as_user: Any, admin: User, outsider: User) -> None:
    record_products(1, by=admin)
    assert read_events(as_user(outsider), "types=product.*") == []


def test_needs_a_sign_in(api: APIClient) -> None:
    assert api.get(EVENTS).status_code == 401


class TestBadInput:
    @pytest.mark.parametrize("since", ["x", "1", "\x00"])
    def test_since_is_an_id(self, as_user: Any, admin: User, since: str) -> None:
        response = as_user(admin).get(EVENTS, {"since": since})
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "since"

    def test_an_event_that_is_gone_is_said(self, as_user: Any, admin: User) -> None:
        response = as_user(admin).get(EVENTS, {"since": str(uuid4())})
        assert (response.status_code, response.json()["code"]) == (410, "history_gone")

    def test_an_unknown_type_names_the_nearest(self, as_user: Any, admin: User) -> None:
        response = as_user(admin).get(EVENTS, {"types": "note.create"})
        assert response.status_code == 400
        assert "note.created" in response.json()["errors"][0]["message"]


def test_the_number_of_queries_does_not_grow(
    as_user: Any, admin: User, count_queries: Callable[..., int]
) -> None:
    client = as_user(admin)
    record_products(1, by=admin)
    one = count_queries(lambda: client.get(f"{EVENTS}?types=product.*&page_size=100"))
    record_products(29, by=admin)
    assert count_queries(lambda: client.get(f"{EVENTS}?types=product.*&page_size=100")) == one


def test_fields_may_leave_out_the_cursor(as_user: Any, admin: User) -> None:
    record_products(2, by=admin)
    client = as_user(admin)
    query = "types=product.*&page_size=1&fields=type"
    page = client.get(f"{EVENTS}?{query}").json()
    assert page["items"] == [{"type": "product.created"}]
    page = client.get(f"{EVENTS}?{query}&since={page['next']}").json()
    assert (page["items"], page["has_more"]) == ([{"type": "product.created"}], False)
