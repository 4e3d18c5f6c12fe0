"""`GET` and `POST /recommendations`: for a person, and like one product."""

from collections import Counter
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Company, User
from accounts.tests.factories import UserFactory
from catalog.models import EmbeddingModel, Product, ProductView
from catalog.public_fields import FIELD_NAMES
from catalog.recommendations import counting, view_recording
from catalog.tests.factories import ProductFactory
from common.ids import uuid7

pytestmark = pytest.mark.django_db
URL = "/api/v1/recommendations"


def create_products(company: Company, category: str, number: int) -> list[Product]:
    return [
        ProductFactory(company=company, category=category, name=f"{category} {n}")
        for n in range(number)
    ]


@pytest.fixture
def desks(admin: User) -> list[Product]:
    return create_products(admin.company, "Desks", 4)


@pytest.fixture
def lamps(admin: User) -> list[Product]:
    return create_products(admin.company, "Lamps", 4)


def add_views(person: User, *products: Product) -> None:
    day = timezone.now().date()
    for product in products:
        ProductView.objects.create(company=person.company, user=person, product=product, day=day)


def add_viewers(number: int, *products: Product) -> None:
    """Let new people of other companies view the products, and count the views."""
    for _ in range(number):
        add_views(UserFactory(), *products)
    counting.refresh_counts()


def get_items(client: APIClient, **parameters: Any) -> list[dict[str, Any]]:
    response = client.get(URL, parameters)
    assert response.status_code == 200, response.content
    return response.json()["items"]


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


def test_a_person_gets_what_others_viewed_together(
    as_user: Any, owner: User, desks: list[Product], lamps: list[Product]
) -> None:
    add_viewers(3, desks[0], lamps[2])
    add_viewers(4, desks[3], lamps[1])
    add_views(owner, desks[0])
    first = get_items(as_user(owner))[0]
    assert first["name"] == "Lamps 2"
    assert first["reason"] == "Often viewed together with “Desks 0”."
    assert set(first) == {*FIELD_NAMES, "reason"}


def test_like_one_product_is_public(
    api: APIClient, desks: list[Product], lamps: list[Product]
) -> None:
    add_viewers(2, desks[0], lamps[2])
    items = get_items(api, product_id=desks[0].pk, limit=3)
    assert names(items) == ["Lamps 2", "Desks 3", "Desks 2"]
    assert items[1]["reason"] == "In the same category as “Desks 0”."
    body = {"product_id": str(desks[0].pk), "limit": 3}
    assert api.post(URL, body).json() == api.get(URL, body).json()


def test_a_list_has_the_usual_envelope(as_user: Any, owner: User, desks: list[Product]) -> None:
    envelope = as_user(owner).get(URL, {"limit": 3, "fields": "name,reason"}).json()
    assert envelope.pop("items")[0] == {"name": "Desks 3", "reason": "New in the catalogue."}
    assert envelope == {"total": 3, "page": 1, "page_size": 3, "total_pages": 1}


def test_a_new_person_gets_popular_products(
    as_user: Any, owner: User, desks: list[Product], lamps: list[Product]
) -> None:
    add_viewers(2, lamps[0])
    add_viewers(1, desks[1])
    items = get_items(as_user(owner))
    assert names(items)[:3] == ["Lamps 0", "Desks 1", "Lamps 3"]
    assert items[0]["reason"] == "Popular with other people."


def test_what_was_seen_deleted_or_sold_out_is_left_out_at_once(
    as_user: Any,
    owner: User,
    admin: User,
    desks: list[Product],
    count_queries: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    cache.clear()  # Nothing is cached until the products of the fixture are committed.
    client, writer = as_user(owner), as_user(admin)
    assert set(names(get_items(client))) == {"Desks 0", "Desks 1", "Desks 2", "Desks 3"}
    cached = count_queries(lambda: get_items(client))
    client.post(f"/api/v1/products/{desks[0].pk}/views")
    assert count_queries(lambda: get_items(client)) > cached
    assert set(names(get_items(client))) == {"Desks 1", "Desks 2", "Desks 3"}
    with django_capture_on_commit_callbacks(execute=True):
        writer.patch(f"/api/v1/products/{desks[1].pk}", {"stock": 0})
    assert set(names(get_items(client))) == {"Desks 2", "Desks 3"}
    with django_capture_on_commit_callbacks(execute=True):
        writer.delete(f"/api/v1/products/{desks[2].pk}")
    assert names(get_items(client)) == ["Desks 3"]
    assert names(get_items(client, product_id=desks[3].pk)) == []
    assert names(get_items(writer, product_id=desks[3].pk)) == ["Desks 0"]
    with django_capture_on_commit_callbacks(execute=True):
        Company.objects.filter(pk=admin.company_id).update(is_active=False)
    assert get_items(as_user(UserFactory())) == []


def test_a_view_that_waits_is_used_at_once(
    as_user: Any, owner: User, desks: list[Product], lamps: list[Product]
) -> None:
    client = as_user(owner)
    client.post(f"/api/v1/products/{desks[0].pk}/views")
    assert get_items(client)[0]["reason"] == "In the same category as “Desks 0”."


def test_a_view_is_used_at_once_after_a_repeated_one(
    as_user: Any, owner: User, desks: list[Product]
) -> None:
    cache.clear()  # Nothing is cached until the products of the fixture are committed.
    client = as_user(owner)
    add_views(owner, desks[0])
    client.post(f"/api/v1/products/{desks[0].pk}/views")
    assert names(get_items(client)) == ["Desks 3", "Desks 2", "Desks 1"]
    view_recording.insert_pending_views()
    client.post(f"/api/v1/products/{desks[1].pk}/views")
    assert names(get_items(client)) == ["Desks 3", "Desks 2"]


def test_no_category_fills_more_than_half_while_there_are_others(
    as_user: Any, owner: User, admin: User, desks: list[Product], lamps: list[Product]
) -> None:
    create_products(admin.company, "Desks", 8)
    add_views(owner, desks[0])
    items = get_items(as_user(owner), limit=6)
    assert Counter(item["category"] for item in items) == {"Desks": 3, "Lamps": 3}
    assert len(get_items(as_user(owner), limit=100)) == 15


def test_deleted_and_unknown_products_are_404(
    api: APIClient, as_user: Any, owner: User, desks: list[Product]
) -> None:
    deleted = ProductFactory(deleted_at=timezone.now())
    for client in (api, as_user(owner)):
        for product_id in (deleted.pk, uuid7()):
            assert client.get(URL, {"product_id": product_id}).status_code == 404
            assert client.post(URL, {"product_id": str(product_id)}).status_code == 404


def test_own_recommendations_need_a_sign_in(api: APIClient, desks: list[Product]) -> None:
    for response in (
        api.get(URL),
        api.get(URL, {"limit": "x"}),
        api.get(URL, {"product_id": ""}),
        api.post(URL, {}),
        api.post(URL, {"product_id": None}),
        api.post(URL, [], format="json"),
        api.get(URL, {"product_id": desks[0].pk}, headers={"authorization": "Bearer x"}),
    ):
        assert response.status_code == 401, response.content
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("parameters", "field", "code"),
    [
        ({"limit": "0"}, "limit", "min_value"),
        ({"limit": "-1"}, "limit", "min_value"),
        ({"limit": "x"}, "limit", "invalid"),
        ({"limit": "1.5"}, "limit", "invalid"),
        ({"limit": "9" * 2000}, "limit", "max_string_length"),
        ({"product_id": "x"}, "product_id", "invalid"),
        ({"product": "x"}, "product", "unknown_parameter"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(
    as_user: Any, owner: User, parameters: dict[str, str], field: str, code: str
) -> None:
    response = as_user(owner).get(URL, parameters)
    assert response.status_code == 400, response.content
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]


def test_bad_bodies_are_named(as_user: Any, owner: User) -> None:
    body = {"limit": "5", "product_id": 3, "user_id": "x"}
    errors = as_user(owner).post(URL, body).json()["errors"]
    assert {(e["field"], e["code"]) for e in errors} == {
        ("limit", "invalid"),
        ("product_id", "invalid"),
        ("user_id", "unknown_field"),
    }
    assert as_user(owner).post(URL, [], format="json").status_code == 400


def test_a_large_limit_gives_100(as_user: Any, owner: User, desks: list[Product]) -> None:
    envelope = as_user(owner).get(URL, {"limit": 1_000}).json()
    assert (envelope["page_size"], envelope["total"]) == (100, 4)


def test_the_browsable_api_shows_recommendations(
    as_user: Any, owner: User, desks: list[Product]
) -> None:
    client = as_user(owner)
    for url in (URL, f"{URL}?product_id={desks[0].pk}"):
        response = client.get(url, headers={"accept": "text/html"})
        assert response.status_code == 200
        assert "Desks 1" in response.content.decode()


def test_the_number_of_queries_does_not_depend_on_the_number_of_products(
    as_user: Any, owner: User, admin: User, desks: list[Product], count_queries: Any
) -> None:
    add_views(owner, desks[0])
    client = as_user(owner)
    few = count_queries(lambda: get_items(client, limit=1))
    create_products(admin.company, "Desks", 26)
    assert count_queries(lambda: get_items(client, limit=1)) == few


def embed(vectors: dict[Product, list[float]]) -> None:
    EmbeddingModel.objects.create(name="test", dimensions=2, similarity_floor=0.5)
    for product, vector in vectors.items():
        product.embeddings.create(
            company=product.company, model="test", dimensions=2, vector=vector, content_hash="x"
        )


def test_a_new_product_gets_and_is_among_those_of_like_meaning(
    api: APIClient, as_user: Any, owner: User, desks: list[Product], lamps: list[Product]
) -> None:
    add_viewers(2, desks[0], lamps[0], lamps[1], lamps[2])
    embed({desks[0]: [1, 0], desks[1]: [0.8, 0.6], lamps[3]: [0.9, 0.4], lamps[2]: [0, 1]})
    items = get_items(api, product_id=desks[1].pk, limit=4)
    assert names(items) == ["Lamps 3", "Desks 0", "Lamps 2", "Desks 3"]
    assert items[0]["reason"] == "Similar to “Desks 1”."
    # Nobody has viewed "Lamps 3" yet, so co-views alone would never show it.
    add_views(owner, desks[0])
    third = get_items(as_user(owner), limit=6)[2]
    assert (third["name"], third["reason"]) == ("Lamps 3", "Similar to “Desks 0”.")
