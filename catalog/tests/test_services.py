"""Each write of a product is recorded with the person who made it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.tests.support.changes import capture_changes

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/products"
ADMIN_URL = "/admin/catalog/product/"

Line = dict[str, Any]


@pytest.fixture
def logs() -> Iterator[list[Line]]:
    with capture_changes() as lines:
        yield lines


@pytest.fixture
def product(admin: User) -> Product:
    return ProductFactory(company=admin.company, sku="D-1")


@pytest.fixture
def admin_site(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


def changes(lines: list[Line]) -> list[Line]:
    """Return the recorded changes of products; a sign-in records its login."""
    return [line for line in lines if line.get("action", "").startswith("product.")]


def change(action: str, product: Product, by: User) -> Line:
    return {
        "event": "change",
        "log_level": "info",
        "action": action,
        "actor": str(by.pk),
        "company": str(product.company_id),
        "target": f"catalog.Product {product.pk}",
    }


def test_the_api_records_each_write(
    as_user: Callable[[User], Any], admin: User, logs: list[Line]
) -> None:
    client = as_user(admin)
    pk = client.post(URL, {"name": "Lamp", "price": "1", "sku": "L-1"}).json()["id"]
    client.patch(f"{URL}/{pk}", {"price": "2"})
    client.delete(f"{URL}/{pk}")
    product = Product.objects.get(pk=pk)
    assert changes(logs) == [
        change("product.created", product, admin),
        change("product.updated", product, admin),
        change("product.deleted", product, admin),
    ]


def test_a_rejected_write_records_nothing(
    as_user: Callable[[User], Any], admin: User, product: Product, logs: list[Line]
) -> None:
    client = as_user(admin)
    assert client.post(URL, {"name": "Lamp", "price": "1", "sku": "D-1"}).status_code == 400
    assert client.patch(f"{URL}/{product.pk}", {"price": "-1"}).status_code == 400
    stale = {"if-match": '"x"'}
    assert client.delete(f"{URL}/{product.pk}", headers=stale).status_code == 412
    assert changes(logs) == []


def test_the_admin_site_records_each_write(
    admin_site: Client, superuser: User, product: Product, logs: list[Line]
) -> None:
    form = {"name": "Table", "price": "5", "stock": "1", "sku": "D-1"}
    admin_site.post(f"{ADMIN_URL}{product.pk}/change/", form)
    admin_site.post(f"{ADMIN_URL}{product.pk}/delete/", {"post": "yes"})
    act(admin_site, "restore", product)
    admin_site.post(f"{ADMIN_URL}add/", form)
    created = Product.objects.get(company=superuser.company)
    assert changes(logs) == [
        change("product.updated", product, superuser),
        change("product.deleted", product, superuser),
        change("product.restored", product, superuser),
        change("product.created", created, superuser),
    ]


def test_bulk_actions_record_each_product(
    admin_site: Client, superuser: User, product: Product, logs: list[Line]
) -> None:
    other = ProductFactory()
    act(admin_site, "mark_sold_out", product, other)
    act(admin_site, "delete_selected", product, other, post="yes")
    assert changes(logs) == [
        change(action, row, superuser)
        for action in ("product.updated", "product.deleted")
        for row in (product, other)
    ]


def act(client: Client, action: str, *rows: Product, **data: str) -> None:
    url = f"{ADMIN_URL}?deleted=1" if action == "restore" else ADMIN_URL
    selected = [str(row.pk) for row in rows]
    client.post(url, {"action": action, "_selected_action": selected, **data})
