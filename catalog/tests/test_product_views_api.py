"""`POST /products/{id}/views`, the batches that insert views, and the age that they reach."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import delete_user
from accounts.tests.factories import UserFactory
from catalog.models import Product, ProductView
from catalog.recommendations import pending_views
from catalog.recommendations.view_recording import (
    delete_old_views,
    insert_pending_views,
    insert_views,
)
from catalog.tests.factories import ProductFactory
from common.ids import uuid7
from common.ratelimit.circuit_breaker import CircuitBreaker

pytestmark = pytest.mark.django_db


@pytest.fixture
def product(admin: User) -> Product:
    return ProductFactory(company=admin.company)


def url(product: Product) -> str:
    return f"/api/v1/products/{product.pk}/views"


def stored() -> list[tuple[Any, ...]]:
    return list(ProductView.objects.order_by("pk").values_list("user", "product", "day"))


def view_on(user: User, product: Product, *, days_ago: int) -> None:
    day = timezone.now().date() - timedelta(days=days_ago)
    ProductView.objects.create(company=user.company, user=user, product=product, day=day)


def test_a_view_is_stored_once_a_day_by_a_batch(
    as_user: Any, owner: User, product: Product
) -> None:
    client = as_user(owner)
    for _ in range(2):
        response = client.post(url(product))
        assert (response.status_code, response.content) == (204, b"")
    assert stored() == []
    assert insert_pending_views() == 1
    client.post(url(product))
    insert_pending_views()
    assert stored() == [(owner.pk, product.pk, timezone.now().date())]
    assert ProductView.objects.get().company == owner.company
    assert insert_pending_views() == 0


def test_a_request_writes_no_row(as_user: Any, owner: User, product: Product) -> None:
    client = as_user(owner)
    with CaptureQueriesContext(connection) as captured:
        client.post(url(product))
    assert all(query["sql"].startswith("SELECT") for query in captured)


def test_everyone_views_all_public_products(
    as_user: Any, outsider: User, worker_account: User, superuser: User, product: Product
) -> None:
    for person in (outsider, worker_account, superuser):
        assert as_user(person).post(url(product)).status_code == 204
    insert_pending_views()
    assert set(ProductView.objects.values_list("user", "company")) == {
        (person.pk, person.company_id) for person in (outsider, worker_account, superuser)
    }


def test_refused_views(api: APIClient, as_user: Any, owner: User, product: Product) -> None:
    client = as_user(owner)
    assert api.post(url(product)).status_code == 401
    assert client.get(url(product)).status_code == 405
    assert client.post(f"{url(product)}?day=1").json()["errors"][0]["code"] == "unknown_parameter"
    assert client.post(url(product), {"day": "x"}).json()["errors"][0]["code"] == "unknown_field"
    deleted, inactive = ProductFactory(deleted_at=timezone.now()), ProductFactory()
    type(inactive.company).objects.filter(pk=inactive.company_id).update(is_active=False)
    for missing in (deleted, inactive, Product(pk=uuid7())):
        assert client.post(url(missing)).status_code == 404
    assert insert_pending_views() == 0


def test_a_batch_that_is_inserted_twice_changes_nothing(owner: User, product: Product) -> None:
    """A worker that dies after the commit leaves the views in Valkey."""
    day = timezone.now().date()
    pending_views.add(pending_views.PendingView(owner.company_id, owner.pk, product.pk, day))
    insert_views(pending_views.read_batch(10))
    insert_pending_views()
    assert len(stored()) == 1


def test_views_of_deleted_people_and_rows_that_are_gone_are_dropped(
    as_user: Any, owner: User, colleague: User, admin: User, product: Product
) -> None:
    gone = ProductFactory()
    as_user(owner).post(url(product))
    as_user(colleague).post(url(product))
    as_user(colleague).post(url(gone))
    gone.delete()
    delete_user(owner, by=admin)
    insert_pending_views()
    assert [row[:2] for row in stored()] == [(colleague.pk, product.pk)]


@pytest.mark.parametrize("reason", ["full", "unavailable"])
def test_without_room_in_valkey_the_request_inserts_the_view(
    as_user: Any, owner: User, product: Product, monkeypatch: Any, reason: str
) -> None:
    def refuse() -> None:
        raise RedisConnectionError

    client = as_user(owner)
    if reason == "full":
        monkeypatch.setattr(pending_views, "MAX_PENDING_VIEWS", 0)
    else:
        monkeypatch.setattr(pending_views, "breaker", CircuitBreaker())
        monkeypatch.setattr(pending_views, "get_redis_connection", refuse)
    assert client.post(url(product)).status_code == 204
    assert len(stored()) == 1
    assert get_redis_connection().zcard(pending_views.KEY) == 0


def test_views_are_kept_for_90_days(owner: User, product: Product) -> None:
    for days_ago in (0, 90, 91, 400):
        view_on(owner, product, days_ago=days_ago)
    assert delete_old_views() == 2
    assert delete_old_views() == 0
    assert min(row[2] for row in stored()) == timezone.now().date() - timedelta(days=90)


def test_views_of_deleted_people_are_deleted(admin: User, product: Product) -> None:
    leaver, stayer = UserFactory(company=admin.company), UserFactory(company=admin.company)
    for person in (leaver, stayer):
        view_on(person, product, days_ago=0)
    delete_user(leaver, by=admin)
    assert delete_old_views() == 1
    assert [row[0] for row in stored()] == [stayer.pk]


def test_the_admin_site_lists_views(superuser: User, owner: User, product: Product) -> None:
    view_on(owner, product, days_ago=0)
    operator = Client()
    operator.force_login(superuser)
    assert owner.email.encode() in operator.get("/admin/catalog/productview/?q=Product").content
    assert operator.get("/admin/catalog/productview/add/").status_code == 403
