"""Each write of a product is recorded with the person who made it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.events.models import Event
from common.tests.support.events import RecordedEvents

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/products"
ADMIN_URL = "/admin/catalog/product/"


@pytest.fixture
def product(admin: User) -> Product:
    return ProductFactory(company=admin.company, sku="D-1")


@pytest.fixture
def admin_site(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


def event(action: str, product: Product, by: User) -> tuple[str, str, str]:
    return (action, str(by.pk), str(product.pk))


def test_the_api_records_each_write(
    as_user: Callable[[User], Any], admin: User, recorded_events: RecordedEvents
) -> None:
    client = as_user(admin)

    def write() -> None:
        pk = client.post(URL, {"name": "Lamp", "price": "1", "sku": "L-1"}).json()["id"]
        client.patch(f"{URL}/{pk}", {"price": "2"})
        client.delete(f"{URL}/{pk}")

    events = recorded_events(write)
    product = Product.objects.get()
    assert events == [
        event("product.created", product, admin),
        event("product.updated", product, admin),
        event("product.deleted", product, admin),
    ]
    updated = Event.objects.get(action="product.updated")
    assert updated.changes == {"price": {"old": "1.00", "new": "2.00"}}


def test_a_rejected_write_records_nothing(
    as_user: Callable[[User], Any], admin: User, product: Product, recorded_events: RecordedEvents
) -> None:
    client = as_user(admin)

    def write() -> None:
        assert client.post(URL, {"name": "Lamp", "price": "1", "sku": "D-1"}).status_code == 400
        assert client.patch(f"{URL}/{product.pk}", {"price": "-1"}).status_code == 400
        stale = {"if-match": '"x"'}
        assert client.delete(f"{URL}/{product.pk}", headers=stale).status_code == 412

    assert recorded_events(write) == []


def test_the_admin_site_records_each_write(
    admin_site: Client, superuser: User, product: Product, recorded_events: RecordedEvents
) -> None:
    form = {"name": "Table", "price": "5", "stock": "1", "sku": "D-1"}

    def write() -> None:
        admin_site.post(f"{ADMIN_URL}{product.pk}/change/", form)
        admin_site.post(f"{ADMIN_URL}{product.pk}/delete/", {"post": "yes"})
        act(admin_site, "restore", product)
        admin_site.post(f"{ADMIN_URL}add/", form)

    events = recorded_events(write)
    created = Product.objects.get(company=superuser.company)
    assert events == [
        event("product.updated", product, superuser),
        event("product.deleted", product, superuser),
        event("product.restored", product, superuser),
        event("product.created", created, superuser),
    ]
    updated = Event.objects.get(action="product.updated")
    assert updated.changes["name"] == {"old": product.name, "new": "Table"}


def test_bulk_actions_record_each_product(
    admin_site: Client, superuser: User, product: Product, recorded_events: RecordedEvents
) -> None:
    other = ProductFactory()

    def write() -> None:
        act(admin_site, "mark_sold_out", product, other)
        act(admin_site, "delete_selected", product, other, post="yes")

    assert recorded_events(write) == [
        event(action, row, superuser)
        for action in ("product.updated", "product.deleted")
        for row in (product, other)
    ]


def act(client: Client, action: str, *rows: Product, **data: str) -> None:
    url = f"{ADMIN_URL}?deleted=1" if action == "restore" else ADMIN_URL
    selected = [str(row.pk) for row in rows]
    client.post(url, {"action": action, "_selected_action": selected, **data})
