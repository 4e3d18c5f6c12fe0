"""`GET /products/search`: parameters, pages, filters and caching."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.models import Product
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/products/search"


@pytest.fixture(autouse=True)
def _products(db: None) -> None:
    for name, category, price in [
        ("Oak desk", "Tables", 300),
        ("Desk lamp", "Light", 40),
        ("Sofa", "Seats", 500),
    ]:
        ProductFactory(name=name, category=category, price=price)


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["name"] for item in response.json()["items"]]


def test_results_have_the_usual_envelope(api: APIClient) -> None:
    body = api.get(URL, {"q": "desk"}).json()
    assert {item["name"] for item in body["items"]} == {"Oak desk", "Desk lamp"}
    assert (body["total"], body["page"], body["total_exact"]) == (2, 1, True)
    assert body["corrected"] == ""
    assert body["items"][0]["company"]["code"]


def test_filters_restrict_the_results(api: APIClient) -> None:
    assert names(api.get(URL, {"q": "desk", "max_price": "50"})) == ["Desk lamp"]
    assert names(api.get(URL, {"q": "desk", "category": "Seats"})) == []


def test_pages_hold_each_product_once(api: APIClient) -> None:
    pages = [names(api.get(URL, {"q": "desk", "page": n, "page_size": 1})) for n in (1, 2, 3)]
    assert sorted(pages[0] + pages[1]) == ["Desk lamp", "Oak desk"]
    assert pages[2] == []
    for query in ("desk", "dexk", "nothing like it"):
        assert names(api.get(URL, {"q": query, "page": 10**24, "page_size": 100})) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "q"),
        ({"q": ""}, "q"),
        ({"q": "  "}, "q"),
        ({"q": "a\x00"}, "q"),
        ({"q": "a", "page": "0"}, "page"),
        ({"q": "a", "min_price": "x"}, "min_price"),
    ],
    ids=str,
)
def test_an_invalid_parameter_is_named(api: APIClient, query: dict, field: str) -> None:
    response = api.get(URL, query)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_deleted_products_are_not_found(api: APIClient) -> None:
    Product.objects.filter(name="Sofa").soft_delete()
    assert names(api.get(URL, {"q": "sofa"})) == []


@pytest.mark.django_db(transaction=True)
def test_results_are_cached_until_the_next_write(api: APIClient) -> None:
    assert [api.get(URL, {"q": "sofa"})["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    ProductFactory(name="Corner sofa")
    assert set(names(api.get(URL, {"q": "sofa"}))) == {"Sofa", "Corner sofa"}


def test_the_query_count_does_not_grow_with_the_rows(api: APIClient, count_queries: Any) -> None:
    few = count_queries(lambda: api.get(URL, {"q": "desk", "page_size": 100}))
    ProductFactory.create_batch(30, name="Desk")
    assert count_queries(lambda: api.get(URL, {"q": "desk", "page_size": 100})) <= few
