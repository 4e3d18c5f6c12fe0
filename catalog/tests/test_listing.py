"""Statements that are compiled, and some of them planned, once for all values."""

import pytest
from django.db import connection
from rest_framework.test import APIClient

from catalog.filters import ProductFilter
from catalog.list_query import LISTED, Listing
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("filters", "order", "has"),
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
def test_one_plan_serves_where_one_index_has_the_order(
    filters: dict[str, str], order: str, has: bool
) -> None:
    found = ProductFilter(filters, LISTED)
    assert not found.errors
    assert Listing(found, (order, "id")).has_one_plan is has


def test_answers_of_a_kept_plan_are_those_of_a_new_one(api: APIClient) -> None:
    for number in range(30):
        ProductFactory(category=f"Category {number % 3}", price=number)
    for number in range(30):
        category = f"Category {number % 3}"
        asked = {"category": category, "min_price": str(number), "sort_by": "price"}
        answer = api.get("/api/v1/products", asked).json()
        right = [float(price) for price in range(number, 30, 3)]
        assert [float(item["price"]) for item in answer["items"]] == right[:10]
        assert answer["total"] == len(right)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(generic_plans) FROM pg_prepared_statements")
        assert cursor.fetchone()[0] > 0
