"""Staff import a file on the admin site: it is checked first, then confirmed."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from catalog.import_models import ProductImport
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.jobs import runner

pytestmark = pytest.mark.django_db
URL = "/admin/catalog/productimport/"
PRODUCTS = "/admin/catalog/product/"


@pytest.fixture
def operator(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


def add(client: Client, text: str) -> Any:
    file = SimpleUploadedFile("prices.csv", text.encode())
    return client.post(f"{URL}add/", {"file": file, "mode": "upsert"}, follow=True)


def apply(client: Client, action: str, product_import: ProductImport) -> Any:
    url = f"{URL}{product_import.pk}/{action}/"
    return client.post(url, {"_form_submitted": "True"})


def test_a_file_is_checked_and_then_confirmed(operator: Client, superuser: User) -> None:
    assert add(operator, "sku,name,price\nD-1,Desk,5\nD-2,,5\n").status_code == 200
    product_import = ProductImport.objects.get()
    assert (product_import.dry_run, product_import.company) == (True, superuser.company)
    runner.run(ProductImport, product_import.pk)
    page = operator.get(f"{URL}{product_import.pk}/change/").content.decode()
    assert "Line 3, name" in page
    assert not Product.objects.exists()
    response = apply(operator, "confirm", product_import)
    assert response["HX-Redirect"] == f"{URL}{product_import.pk}/change/"
    runner.run(ProductImport, product_import.pk)
    assert Product.objects.get().name == "Desk"
    rows = operator.get(f"{URL}{product_import.pk}/download_failed_rows/").getvalue()
    assert rows.splitlines()[1].startswith(b"D-2,,5,")
    assert b"Desk" not in rows


def test_an_import_is_cancelled_by_its_form_alone(operator: Client) -> None:
    add(operator, "sku,name,price\nD-1,Desk,5\n")
    product_import = ProductImport.objects.get()
    operator.get(f"{URL}{product_import.pk}/cancel/")
    product_import.refresh_from_db()
    assert product_import.status == "queued"
    apply(operator, "cancel", product_import)
    apply(operator, "cancel", product_import)
    product_import.refresh_from_db()
    assert product_import.status == "cancelled"
    assert b"has already ended" in operator.get(URL).content


def test_a_wrong_file_is_an_error_of_the_form(operator: Client) -> None:
    page = add(operator, "sku,colour\n").content.decode()
    assert "The column &#x27;colour&#x27; can&#x27;t be imported" in page
    assert not ProductImport.objects.exists()


def test_the_selected_products_are_exported(operator: Client, admin: User) -> None:
    desk = ProductFactory(company=admin.company, name="Desk")
    ProductFactory(company=admin.company, name="Lamp")
    data: dict[str, Any] = {"action": "export_csv", "_selected_action": [str(desk.pk)]}
    selected = operator.post(PRODUCTS, data).getvalue()
    assert [b"Desk" in selected, b"Lamp" in selected] == [True, False]
    everything = operator.post(f"{PRODUCTS}?q=lamp", {**data, "select_across": "1"}).getvalue()
    assert [b"Desk" in everything, b"Lamp" in everything] == [False, True]
    file = operator.post(PRODUCTS, {**data, "action": "export_xlsx"})
    assert file.getvalue().startswith(b"PK")


def test_the_list_of_products_leads_to_the_form(operator: Client) -> None:
    assert b"Import" in operator.get(PRODUCTS).content
    response = operator.get(f"{PRODUCTS}import_products/", follow=True)
    assert response.redirect_chain == [(f"{URL}add/", 302)]
    assert b"ignore_unknown_columns" in response.content
