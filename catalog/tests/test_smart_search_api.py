"""`/search/smart` with the embedded model; the provider is a local server where one is needed."""

import time
from collections.abc import Iterator
from math import ceil
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from rest_framework.test import APIClient

from accounts.models import Company
from catalog import demo, embedding_job, query_embeddings, smart_search, vocabulary_refresh
from catalog.models import EmbeddingModel, Product
from catalog.tests.factories import ProductFactory
from common.jobs import runner

pytestmark = pytest.mark.django_db
URL = "/api/v1/search/smart"


@pytest.fixture(autouse=True)
def _no_pause() -> Iterator[None]:
    """Let no failure of the provider in one test pause the requests of another."""
    query_embeddings.resume()
    yield
    query_embeddings.resume()


@pytest.fixture
def catalogue(company: Company) -> Company:
    Product.objects.bulk_create(
        Product(
            company=company,
            name=name,
            category=category,
            price=price,
            stock=stock,
            sku=sku,
            description=description,
        )
        for name, category, price, stock, sku, description in demo.PRODUCTS
    )
    vocabulary_refresh.rebuild()
    embed_all()
    return company


def embed_all() -> None:
    embedding_job.request_embeddings()
    assert runner.run(EmbeddingModel, EmbeddingModel.objects.get().pk).status == "completed"


def search(api: APIClient, query: str, **parameters: Any) -> dict[str, Any]:
    response = api.get(URL, {"q": query, **parameters})
    assert response.status_code == 200, response.content
    return response.json()


def names(body: dict[str, Any]) -> list[str]:
    return [item["name"] for item in body["items"]]


def test_meaning_finds_what_words_miss_in_several_languages(
    api: APIClient, catalogue: Company
) -> None:
    for query, name in [
        ("illumination for a ship", "Marine lantern"),
        ("something to keep drinks cold", "Cool box"),
        ("Beleuchtung für ein Schiff", "Marine lantern"),
        ("Rasenmäher", "Lawn mower"),
        ("machine à café", "Coffee machine"),
        ("nourrir les oiseaux", "Bird feeder"),
    ]:
        body = search(api, query)
        assert name in names(body)[:2], query
        assert "meaning" in body["items"][names(body).index(name)]["matched_by"]
        assert body["complete"] is True


def test_items_are_products_with_the_way_and_the_score(api: APIClient, catalogue: Company) -> None:
    body = search(api, "desk lamp")
    first = body["items"][0]
    assert (first["name"], first["matched_by"]) == ("Desk lamp", ["words", "meaning"])
    assert first["company"]["code"] == "acme"
    scores = [item["score"] for item in body["items"]]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] <= scores[0] <= 1
    assert body["total"] == len(body["items"])
    assert body["total_exact"] is True


def test_what_has_all_words_comes_before_what_is_only_meant(
    api: APIClient, catalogue: Company
) -> None:
    ProductFactory(company=catalogue, name="Brass hinge", category="", description="For a ship")
    body = search(api, "brass ship")
    assert names(body)[0] == "Brass hinge"


def test_nonsense_finds_nothing(api: APIClient, catalogue: Company) -> None:
    assert search(api, "zzzz qqqq xxxx") == {
        "items": [],
        "total": 0,
        "page": 1,
        "page_size": 10,
        "total_pages": 0,
        "total_exact": True,
        "corrected": "",
        "complete": True,
    }


def test_filters_apply_to_words_and_meaning(api: APIClient, catalogue: Company) -> None:
    rival = ProductFactory(company__code="rival", name="Ship's lantern", stock=0, price=5)
    embed_all()
    found = search(api, "lantern for a ship", company="rival")
    assert [item["id"] for item in found["items"]] == [str(rival.pk)]
    assert search(api, "lantern for a ship", company="nobody")["total"] == 0
    assert "Ship's lantern" not in names(search(api, "lantern for a ship", in_stock_only=True))
    assert names(search(api, "lamp", category="Lighting", max_price="30"))[0] == "Head torch"
    assert names(search(api, "lamp", max_price="6")) == ["Ship's lantern"]


def test_a_deleted_product_is_not_found_by_its_meaning(api: APIClient, catalogue: Company) -> None:
    Product.objects.filter(sku="LTN-MAR-1").soft_delete()
    assert "Marine lantern" not in names(search(api, "illumination for a ship"))


def test_pages_hold_each_product_once(
    api: APIClient, catalogue: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smart_search, "MAX_WORD_HITS", 3)
    query = "LED lamp for the deck, with a battery"
    whole = search(api, query, page_size=100)
    pages = [
        search(api, query, page=number, page_size=4)
        for number in range(1, ceil(whole["total"] / 4) + 1)
    ]
    ids = [item["id"] for page in pages for item in page["items"]]
    assert sorted(ids) == sorted({item["id"] for item in whole["items"]})
    assert len(ids) == whole["total"] > 6
    assert search(api, "lamp", page=10**24)["items"] == []


def test_a_body_gives_the_same_results(api: APIClient, catalogue: Company) -> None:
    parameters = {"q": "illumination", "min_price": "20", "in_stock_only": True, "page_size": 2}
    by_body = api.post(URL, parameters, format="json")
    assert by_body.status_code == 200, by_body.content
    assert by_body.json() == search(
        api, "illumination", min_price="20", in_stock_only="true", page_size=2
    )
    assert len(by_body.json()["items"]) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "q"),
        ({"q": " "}, "q"),
        ({"q": 5}, "q"),
        ({"q": "a\0b"}, "q"),
        ({"q": "lamp", "min_price": -1}, "min_price"),
        ({"q": "lamp", "max_price": "cheap"}, "max_price"),
        ({"q": "lamp", "in_stock_only": "perhaps"}, "in_stock_only"),
        ({"q": "lamp", "page": 0}, "page"),
        ({"q": "lamp", "colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_bad_bodies_are_errors_of_their_fields(
    api: APIClient, body: dict[str, Any], field: str
) -> None:
    response = api.post(URL, body, format="json")
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"),
        ("q=%20", "q"),
        ("q=a%00", "q"),
        ("q=a&page=0", "page"),
        ("q=a&min_price=x", "min_price"),
        ("q=a&colour=red", "colour"),
    ],
)
def test_bad_parameters_are_errors(api: APIClient, query: str, field: str) -> None:
    response = api.get(f"{URL}?{query}")
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_without_embeddings_words_alone_answer(api: APIClient, company: Company) -> None:
    demo.seed_products(company)
    body = search(api, "desk lamp")
    assert body["items"][0]["matched_by"] == ["words"]
    assert body["complete"] is False


def test_after_a_failure_the_provider_is_left_alone_for_a_while(
    api: APIClient, catalogue: Company, httpserver: HTTPServer, settings: Any
) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_data("down", status=503)
    settings.OPENAI = settings.OPENAI | {"api_key": "k", "base_url": httpserver.url_for("/v1")}
    EmbeddingModel.objects.update(name="by-a-provider")
    for query in ("desk lamp", "lamp"):
        body = search(api, query)
        assert (body["complete"], body["items"][0]["matched_by"]) == (False, ["words"])
    assert len(httpserver.log) == 1


@pytest.mark.django_db(transaction=True)
def test_only_complete_answers_are_cached_until_a_product_or_vector_changes(
    api: APIClient, company: Company
) -> None:
    lamp = ProductFactory(company=company, name="Desk lamp")

    def look(times: int) -> list[str]:
        return [api.get(URL, {"q": "illumination"})["X-Cache"] for _ in range(times)]

    assert look(2) == ["miss", "miss"]
    embed_all()
    assert look(2) == ["miss", "hit"]
    lamp.name = "Floor lamp"
    lamp.save()
    assert look(2) == ["miss", "hit"]
    embed_all()
    assert look(2) == ["miss", "hit"]


def test_a_search_does_not_wait_for_a_provider_that_hangs(
    api: APIClient,
    catalogue: Company,
    httpserver: HTTPServer,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("common.ai.embeddings.QUERY_TIMEOUT_S", 0.2)
    httpserver.expect_request("/v1/embeddings").respond_with_handler(lambda _: time.sleep(0.5))
    settings.OPENAI = settings.OPENAI | {
        "api_key": "k",
        "base_url": httpserver.url_for("/v1"),
        "timeout": 30.0,
    }
    EmbeddingModel.objects.update(name="by-a-provider")
    assert search(api, "desk lamp")["complete"] is False


@pytest.mark.parametrize("field", ["min_price", "max_price"])
def test_an_empty_text_in_a_body_is_no_price(api: APIClient, field: str) -> None:
    response = api.post("/api/v1/search/smart", {"q": "lamp", field: ""}, format="json")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field
