from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.tests.support.ai_provider import FakeProvider, answer, fail

pytestmark = pytest.mark.django_db
URL = "/admin/catalog/product/"


@pytest.fixture
def operator(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


@pytest.fixture
def product(admin: User) -> Product:
    return ProductFactory(company=admin.company, name="Oak desk", sku="D-1")


def run_action(client: Client, action: str, *rows: Product) -> Any:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(f"{URL}?deleted=1" if action == "restore" else URL, data, follow=True)


@pytest.mark.parametrize("query", ["", "?q=oak", "?category=Things", "?stock_from=1&stock_to=9"])
def test_the_list_filters_and_searches(operator: Client, product: Product, query: str) -> None:
    assert b"Oak desk" in operator.get(URL + query).content


def test_the_form_saves_a_product(operator: Client, product: Product) -> None:
    form = {"name": "Table", "sku": "T-1", "price": "5", "stock": "1"}
    assert operator.post(f"{URL}{product.pk}/change/", form).status_code == 302
    product.refresh_from_db()
    assert (product.name, product.sku) == ("Table", "T-1")


def test_only_a_product_of_release_1_0_may_have_no_sku(operator: Client, product: Product) -> None:
    form = {"name": "Table", "sku": "", "price": "5", "stock": "1"}
    for url in (f"{URL}add/", f"{URL}{product.pk}/change/"):
        assert b"This field is required." in operator.post(url, form).content
    Product.objects.filter(pk=product.pk).update(sku="")
    assert operator.post(f"{URL}{product.pk}/change/", form).status_code == 302


def test_a_deleted_product_is_kept_and_can_be_restored(operator: Client, product: Product) -> None:
    operator.post(f"{URL}{product.pk}/delete/", {"post": "yes"}, follow=True)
    assert b"Oak desk" not in operator.get(URL).content
    assert b"Oak desk" in operator.get(f"{URL}?deleted=1").content
    run_action(operator, "restore", product)
    product.refresh_from_db()
    assert product.deleted_at is None


def test_restore_fails_if_a_live_product_has_the_sku(operator: Client, product: Product) -> None:
    Product.objects.filter(pk=product.pk).soft_delete()
    ProductFactory(company=product.company, sku="D-1")
    assert b"another live product has the SKU" in run_action(operator, "restore", product).content
    product.refresh_from_db()
    assert product.deleted_at is not None


def test_bulk_actions_change_the_selected_products(operator: Client, product: Product) -> None:
    run_action(operator, "mark_sold_out", product)
    product.refresh_from_db()
    assert product.stock == 0
    run_action(operator, "delete_selected", product)
    data = {"action": "delete_selected", "_selected_action": [str(product.pk)], "post": "yes"}
    operator.post(URL, data)
    product.refresh_from_db()
    assert product.deleted_at is not None


def test_staff_only_see_the_products_of_their_company(admin: User, product: Product) -> None:
    other = ProductFactory(name="Foreign thing")
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    client = Client()
    client.force_login(admin)
    page = client.get(URL).content
    assert b"Oak desk" in page
    assert b"Foreign thing" not in page
    assert client.get(f"{URL}{other.pk}/change/").status_code == 302


def test_a_description_is_drafted_and_not_saved(operator: Client, product: Product) -> None:
    page = f"{URL}{product.pk}/change/"
    draft = "Oak desk from our range “Things”."
    assert f"{URL}{product.pk}/draft-description/".encode() in operator.get(page).content
    response = operator.post(f"{URL}{product.pk}/draft-description/", follow=True)
    assert response.redirect_chain == [(page, 302)]
    assert draft in response.content.decode()
    assert b"a draft by bureau-template-1" in response.content
    product.refresh_from_db()
    assert product.description == ""
    assert draft not in operator.get(page).content.decode()


def test_a_draft_calls_the_provider_outside_of_a_transaction(
    operator: Client, product: Product, provider: FakeProvider
) -> None:
    url = f"{URL}{product.pk}/draft-description/"
    provider.then(answer("A desk."), fail(401))
    assert b"A desk." in operator.post(url, follow=True).content
    assert b"The provider refused our key" in operator.post(url, follow=True).content


def test_only_who_may_change_a_product_drafts_its_description(
    outsider: User, owner: User, product: Product
) -> None:
    client = Client()
    url = f"{URL}{product.pk}/draft-description/"
    for user, status in ((owner, 302), (outsider, 404)):
        user.is_staff = user == outsider
        user.save()
        client.force_login(user)
        assert client.post(url).status_code == status
    assert client.get(url).status_code == 405
