"""Queries that are compiled, and some of them planned, once for all values."""

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Company
from catalog.filters import ProductListFilter
from catalog.list_query import PUBLIC_ROWS, CompiledList, ListQuery, fetch_page
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/products"


@pytest.mark.parametrize(
    ("filters", "order", "expected"),
    [
        ({}, "price", True),
        ({"category": "A", "min_price": "1"}, "-price", True),
        ({"category": "A"}, "-id", False),
        ({"category": "A"}, "name", False),
        ({"in_stock_only": "true"}, "price", False),
        ({"name": "a"}, "price", False),
        ({"company": "ACME"}, "price", False),
    ],
)
def test_a_plan_is_stable_if_one_index_has_the_order(
    filters: dict[str, str], order: str, expected: bool
) -> None:
    products = ProductListFilter(filters, PUBLIC_ROWS)
    assert not products.errors
    assert ListQuery(products, (order, "id")).has_stable_plan is expected


def test_a_reused_plan_returns_the_rows_of_each_value(api: APIClient) -> None:
    for number in range(30):
        ProductFactory(category=f"Category {number % 3}", price=number)
    for number in range(30):
        category = f"Category {number % 3}"
        query = {"category": category, "min_price": str(number), "sort_by": "price"}
        body = api.get(URL, query).json()
        expected = [float(price) for price in range(number, 30, 3)]
        assert [float(item["price"]) for item in body["items"]] == expected[:10]
        assert body["total"] == len(expected)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(generic_plans) FROM pg_prepared_statements")
        assert cursor.fetchone()[0] > 0


@pytest.mark.parametrize("text", ["50%", "a_b", "c\\d", "it's", "Ä", "%s"])
def test_the_name_filter_matches_special_characters_literally(api: APIClient, text: str) -> None:
    ProductFactory(name=f"Lamp {text} large")
    ProductFactory(name="Lamp 50 axb c/d its A")
    for _ in range(2):
        items = api.get(URL, {"name": text.lower()}).json()["items"]
        assert [item["name"] for item in items] == [f"Lamp {text} large"]


def test_each_value_of_a_flag_has_a_query_of_its_own(api: APIClient) -> None:
    ProductFactory(name="Desk", stock=1)
    ProductFactory(name="Sofa", stock=0)
    totals = [
        api.get(URL, {"in_stock_only": value}).json()["total"]
        for value in ("true", "false", "true")
    ]
    assert totals == [1, 2, 1]


FILTER_VALUES = {
    "name": ("amp", "esk"),
    "category": ("Light", "Tables"),
    "min_price": ("10", "30"),
    "max_price": ("10", "30"),
    "in_stock_only": ("true", "false"),
    "company": ("acme", "unknown"),
    "search": ("amp", "esk"),
    "created_after": ("2020-01-01", "2100-01-01"),
    "created_before": ("2020-01-01", "2100-01-01"),
}


@pytest.mark.parametrize("name", ProductListFilter.base_filters)
def test_the_cached_query_of_each_filter_returns_the_rows_of_the_queryset(
    name: str, company: Company
) -> None:
    ProductFactory(name="Lamp", category="Light", price=20, stock=0, company=company)
    ProductFactory(name="Desk", category="Tables", price=40)
    for value in FILTER_VALUES[name]:
        products = ProductListFilter({name: value}, PUBLIC_ROWS)
        assert not products.errors
        query = ListQuery(products, ("-id",))
        uncached = CompiledList.from_queryset(query.queryset())
        cached, expected = (
            fetch_page(compiled, start=0, size=10, max_total=10)
            for compiled in (query.compile(), uncached)
        )
        assert cached == expected
