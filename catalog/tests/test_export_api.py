"""`GET /products/export` returns the company's products as a file that can be imported again."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts.models import User
from catalog.formulas import neutralize, neutralize_cell, restore
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from catalog.tests.test_imports_api import counts, send
from common.normalization import to_nfc

pytestmark = pytest.mark.django_db
URL = "/api/v1/products/export"


@pytest.fixture
def client(as_user: Callable[[User], APIClient], admin: User) -> APIClient:
    return as_user(admin)


def export(client: APIClient, **query: Any) -> bytes:
    response = client.get(URL, query)
    assert response.status_code == 200, response.content
    return response.getvalue()


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_csv_has_the_columns_of_an_import(client: APIClient, admin: User) -> None:
    ProductFactory(
        company=admin.company,
        sku="D-1",
        name='Desk, "large"',
        description="Of oak\nand steel",
        price="19.90",
        stock=0,
        category="",
    )
    response = client.get(URL)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="products.csv"'
    assert rows_of(response.getvalue()) == [
        {
            "sku": "D-1",
            "name": 'Desk, "large"',
            "description": "Of oak\nand steel",
            "price": "19.90",
            "stock": "0",
            "category": "",
        }
    ]


def test_ndjson_has_the_rows_of_the_list(client: APIClient, admin: User) -> None:
    for name in ("Desk", "=Lamp", "Ü\u2028"):
        ProductFactory(company=admin.company, name=name)
    lines = export(client, format="ndjson").decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == client.get("/api/v1/products").json()["items"]


def test_the_filters_and_the_order_are_those_of_the_list(client: APIClient, admin: User) -> None:
    for name, price, stock in (("Desk", 5, 0), ("Desk lamp", 9, 1), ("Lamp", 7, 3)):
        ProductFactory(company=admin.company, name=name, price=price, stock=stock)
    for query in (
        {"name": "lamp", "sort_by": "price"},
        {"min_price": "6", "ordering": "-name"},
        {"in_stock_only": "true", "sort_by": "stock", "sort_order": "desc"},
        {"company": admin.company.code},
        {"category": "None"},
    ):
        listed = [row["name"] for row in client.get("/api/v1/products", query).json()["items"]]
        assert [row["name"] for row in rows_of(export(client, **query))] == listed


def test_only_the_companys_own_live_products_are_exported(
    client: APIClient,
    admin: User,
    outsider: User,
    superuser: User,
    as_user: Callable[[User], APIClient],
) -> None:
    ProductFactory(company=admin.company, name="Ours")
    ProductFactory(company=outsider.company, name="Theirs")
    deleted = ProductFactory(company=admin.company, name="Deleted")
    Product.objects.filter(pk=deleted.pk).soft_delete()
    assert [row["name"] for row in rows_of(export(client))] == ["Ours"]
    assert rows_of(export(client, company="rival")) == []
    operator = as_user(superuser)
    assert rows_of(export(operator)) == []
    assert [row["name"] for row in rows_of(export(operator, company="rival"))] == ["Theirs"]


def test_only_admins_export(
    api: APIClient, as_user: Callable[[User], APIClient], owner: User, worker_account: User
) -> None:
    assert api.get(URL).status_code == 401
    assert as_user(owner).get(URL).status_code == 403
    assert as_user(worker_account).get(URL).status_code == 403


def test_wrong_parameters_are_refused(client: APIClient) -> None:
    response = client.get(URL, {"format": "pdf", "min_price": "x", "sort_by": "colour"})
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [
        ("format", "invalid_choice"),
        ("min_price", "invalid"),
        ("sort_by", "invalid"),
    ]
    assert client.get(URL, {"page": "2"}).json()["errors"][0]["code"] == "unknown_parameter"


def test_an_export_has_the_same_queries_for_each_number_of_rows(
    client: APIClient, admin: User, count_queries: Callable[[Callable[[], Any]], int]
) -> None:
    for file_format in ("csv", "xlsx", "ndjson"):
        ProductFactory(company=admin.company)
        one = count_queries(lambda f=file_format: export(client, format=f))
        ProductFactory.create_batch(3, company=admin.company)
        assert count_queries(lambda f=file_format: export(client, format=f)) == one


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "'=", "''+", "＝"])
def test_formulas_are_neutralised_in_spreadsheets_only(
    client: APIClient, admin: User, start: str
) -> None:
    text = f"{start}cmd|' /C calc'!A0"
    ProductFactory(company=admin.company, name=text, sku=text, category="'quoted'")
    row = rows_of(export(client))[0]
    assert (row["name"], row["sku"], row["category"]) == (f"'{text}", f"'{text}", "'quoted'")
    assert json.loads(export(client, format="ndjson"))["name"] == text
    for file_format in ("csv", "xlsx"):
        data = export(client, format=file_format)
        assert counts(send(client, data).json()) == (0, 0, 1, 0)


TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("='+-@\t\r\n;,\"|_x0041_ "),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=8))
def test_an_export_that_is_imported_again_changes_nothing(
    client: APIClient, admin: User, texts: list[tuple[str, str, str]]
) -> None:
    Product.objects.all().delete()
    rows = [
        {
            "sku": f"{to_nfc(sku).strip()}{number}",
            "name": to_nfc(name).strip() or "-",
            "description": description.strip(),
            "price": Decimal(number * 7919 % 100_000) / 100,
            "stock": number,
        }
        for number, (sku, name, description) in enumerate(texts)
    ]
    for row in rows:
        ProductFactory(company=admin.company, **row)
    before = list(Product.objects.order_by("id").values())
    for file_format in ("csv", "xlsx"):
        body = send(client, export(client, format=file_format)).json()
        assert (counts(body), body["errors"]) == ((0, 0, len(rows), 0), [])
    assert list(Product.objects.order_by("id").values()) == before


@given(TEXTS)
def test_a_neutralised_text_is_restored(text: str) -> None:
    assert restore(neutralize(text)) == text
    assert restore(neutralize_cell(neutralize(text))) == text
