"""Counting which products people view together."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Company, User
from accounts.tests.factories import UserFactory
from catalog.models import CoView, Product, ProductPopularity, ProductView
from catalog.recommendations import counting
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def products(company: Company) -> list[Product]:
    return [ProductFactory(company=company, name=name) for name in "abcd"]


@pytest.fixture
def people(company: Company) -> list[User]:
    return [UserFactory(company=company) for _ in range(12)]


def add_views(people: list[User], products: list[Product], *, days_ago: int = 0) -> None:
    day = timezone.now().date() - timedelta(days=days_ago)
    ProductView.objects.bulk_create(
        ProductView(company_id=person.company_id, user=person, product=product, day=day)
        for person in people
        for product in products
    )


def scores() -> dict[tuple[str, str], float]:
    rows = CoView.objects.values_list("product__name", "other__name", "score")
    return {(product, other): round(score, 3) for product, other, score in rows}


def count_again() -> None:
    """Count as in the next night."""
    ProductPopularity.objects.update(counted_at=timezone.now() - timedelta(days=1))
    counting.refresh_counts()


def test_the_score_is_the_cosine_with_shrinkage(
    people: list[User], products: list[Product]
) -> None:
    a, b, c, _ = products
    add_views(people[:4], [a, b])
    add_views(people[4:9], [b])
    add_views(people[9:11], [c, a])
    assert counting.refresh_counts() == 3
    # a has 6 viewers, b 9 and c 2; 4 people viewed a and b, 2 people a and c.
    assert scores() == {
        ("a", "b"): round(4 / 54**0.5 * 4 / 9, 3),
        ("b", "a"): round(4 / 54**0.5 * 4 / 9, 3),
        ("a", "c"): round(2 / 12**0.5 * 2 / 7, 3),
        ("c", "a"): round(2 / 12**0.5 * 2 / 7, 3),
    }


def test_views_of_one_person_on_several_days_count_once(
    people: list[User], products: list[Product]
) -> None:
    for days_ago in range(3):
        add_views(people[:1], products[:2], days_ago=days_ago)
    counting.refresh_counts()
    assert set(ProductPopularity.objects.values_list("people", flat=True)) == {1}
    # What only one person has viewed together would tell what that person viewed.
    assert scores() == {}


def test_popular_products_are_damped(people: list[User], products: list[Product]) -> None:
    a, rare, popular, _ = products
    add_views(people[:3], [a, rare])
    add_views(people, [popular])
    counting.refresh_counts()
    assert scores()[a.name, rare.name] > scores()[a.name, popular.name]


def test_products_that_are_not_public_are_left_out(
    people: list[User], products: list[Product]
) -> None:
    hidden = ProductFactory()
    add_views(people, [*products[:2], hidden])
    Company.objects.filter(pk=hidden.company_id).update(is_active=False)
    Product.objects.filter(pk=products[1].pk).soft_delete()
    counting.refresh_counts()
    assert {other for _, other in scores()} == {"a"}


def test_only_the_strongest_pairs_are_kept(
    people: list[User], products: list[Product], company: Company
) -> None:
    add_views(people[:3], products[:2])
    add_views(people[:2], [ProductFactory(company=company) for _ in range(counting.MAX_CO_VIEWS)])
    counting.refresh_counts()
    others = [other for product, other in scores() if product == "a"]
    assert len(others) == counting.MAX_CO_VIEWS
    assert "b" in others


def test_of_each_person_only_the_latest_views_count(
    people: list[User], products: list[Product], company: Company
) -> None:
    add_views(people[:2], products[:1])
    later = [ProductFactory(company=company) for _ in range(counting.MAX_VIEWS_PER_PERSON)]
    add_views(people[:2], later)
    counting.refresh_counts()
    assert "a" not in {name for pair in scores() for name in pair}


def test_pairs_are_counted_once_a_night_and_first_views_soon(
    people: list[User], products: list[Product]
) -> None:
    a, b, c, _ = products
    add_views(people[:2], [a, b])
    assert counting.refresh_counts() == 2
    add_views(people[:3], [c])
    assert counting.refresh_counts() == 1
    assert scores().keys() == {("a", "b"), ("b", "a"), ("c", "a"), ("c", "b")}
    count_again()
    assert len(scores()) == 6
    assert counting.refresh_counts() == 0


def test_a_run_continues_where_a_killed_one_ended(
    people: list[User], products: list[Product], monkeypatch: Any
) -> None:
    monkeypatch.setattr(counting, "BATCH_PRODUCTS", 2)
    add_views(people[:2], products)
    counting.count_people()
    done = sorted(product.pk for product in products)[:2]
    ProductPopularity.objects.filter(pk__in=done).update(counted_at=timezone.now())
    assert counting.refresh_counts() == 2
    assert {product for product, _ in scores()} == {"c", "d"}


def test_counts_of_expired_views_are_deleted(people: list[User], products: list[Product]) -> None:
    add_views(people, products[:3])
    counting.refresh_counts()
    ProductView.objects.filter(product=products[0]).delete()
    count_again()
    assert scores().keys() == {("b", "c"), ("c", "b")}
    assert ProductPopularity.objects.count() == 2
