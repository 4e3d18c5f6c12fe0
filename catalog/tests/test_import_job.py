"""What the job of an import does besides counting: turns, events, caches, old rows."""

import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog import tasks
from catalog.import_models import ImportRow, ProductImport
from catalog.imports import batches, job, services, staging
from catalog.imports.uploaded_file import detect_format
from catalog.models import Product
from common.events import record
from common.events.models import Event
from common.jobs import runner
from common.jobs.status import JobStatus
from common.tests.support.events import RecordedEvents

LIST = "/api/v1/products"


def create(user: User, text: str, *, dry_run: bool = False) -> ProductImport:
    file = io.BytesIO(text.encode())
    return services.create_import(
        by=user,
        file=file,
        file_format=detect_format(file, mode="upsert", ignore_unknown=False),
        file_name="products.csv",
        file_bytes=len(text),
        mode="upsert",
        dry_run=dry_run,
    )


def build_text(count: int, *, price: int = 5) -> str:
    return "sku,name,price\n" + "".join(f"S-{n:04},Desk {n},{price}\n" for n in range(count))


def run(product_import: ProductImport) -> ProductImport:
    runner.run(ProductImport, product_import.pk)
    product_import.refresh_from_db()
    return product_import


def counts(product_import: ProductImport) -> tuple[int, int, int, int]:
    row = product_import
    return row.created, row.updated, row.unchanged, row.failed


@pytest.mark.django_db(transaction=True)
def test_many_batches_are_written_in_turns_with_other_jobs(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    monkeypatch.setattr(staging, "STAGED_TOGETHER", 11)
    product_import = create(admin, build_text(40))
    monkeypatch.setattr(job, "MAX_WRITING_S", 0)
    assert run(product_import).status == JobStatus.QUEUED
    assert product_import.attempts == 0
    written = product_import.created
    assert 0 < written < 40
    assert Product.objects.count() == written
    monkeypatch.setattr(job, "MAX_WRITING_S", 60)
    assert counts(run(product_import)) == (40, 0, 0, 0)
    names = Product.objects.order_by("sku").values_list("sku", "name")
    assert list(names) == [(f"S-{n:04}", f"Desk {n}") for n in range(40)]
    assert counts(run(create(admin, build_text(40)))) == (0, 0, 40, 0)
    assert counts(run(create(admin, build_text(40, price=6)))) == (0, 40, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_cached_lists_show_the_products_of_an_import(admin: User, api: APIClient) -> None:
    assert api.get(LIST).json()["total"] == 0
    run(create(admin, build_text(3)))
    assert api.get(LIST).json()["total"] == 3
    assert api.get(f"{LIST}/search", {"q": "desk"}).json()["total"] == 3


@pytest.mark.django_db(transaction=True)
def test_an_import_is_recorded_from_its_start_to_its_end(
    admin: User, recorded_events: RecordedEvents
) -> None:
    def use_imports() -> None:
        dry_run = run(create(admin, build_text(1), dry_run=True))
        services.confirm_import(dry_run, by=admin)
        run(dry_run)
        services.cancel_import(create(admin, build_text(1)), by=admin)

    actor = str(admin.pk)
    events = [
        (action.removeprefix("product_import."), by)
        for action, by, _ in recorded_events(use_imports)
    ]
    assert events == [
        ("created", actor),
        ("checked", "system"),
        ("confirmed", actor),
        ("product.created", actor),
        ("completed", "system"),
        ("created", actor),
        ("cancelled", actor),
    ]


@pytest.mark.django_db
def test_new_products_are_ordered_as_in_the_file(admin: User) -> None:
    run(create(admin, "sku,name,price\nB,Second,1\nA,First,1\n"))
    assert list(Product.objects.order_by("id").values_list("sku", flat=True)) == ["B", "A"]


@pytest.mark.django_db
def test_a_killed_dry_run_counts_again_from_the_beginning(admin: User) -> None:
    product_import = create(admin, build_text(5) + "X,,1\n", dry_run=True)
    claimed = ProductImport.objects.claim(product_import.pk)
    staging.stage(claimed)
    for batch in batches.list_batches(claimed):
        batches.compare(batch)
    ProductImport.objects.filter(pk=product_import.pk).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )
    assert counts(run(product_import)) == (5, 0, 0, 1)


@pytest.mark.django_db
def test_old_rows_are_deleted_and_their_dry_run_can_t_be_confirmed(
    admin: User, as_user: Callable[[User], APIClient]
) -> None:
    text = build_text(2) + "X,,1\n"
    old, fresh = (run(create(admin, text, dry_run=True)) for _ in range(2))
    cancelled = create(admin, text)
    claimed = ProductImport.objects.claim(cancelled.pk)
    staging.stage(claimed)
    claimed.cancel()
    age(old, days=2)
    assert tasks.delete_old_import_rows() == 4
    remaining: dict[Any, int] = {
        row.pk: ImportRow.objects.filter(product_import=row).count()
        for row in (old, fresh, cancelled)
    }
    assert remaining == {old.pk: 1, fresh.pk: 3, cancelled.pk: 1}
    client = as_user(admin)
    response = client.post(f"{LIST}/imports/{old.pk}/confirm")
    assert (response.status_code, response.json()["code"]) == (409, "not_confirmable")
    assert client.get(f"{LIST}/imports/{old.pk}").json()["errors"]
    age(old, days=31)
    assert tasks.delete_old_import_rows() == 1


def age(product_import: ProductImport, *, days: int) -> None:
    finished_at = timezone.now() - timedelta(days=days)
    ProductImport.objects.filter(pk=product_import.pk).update(finished_at=finished_at)


@pytest.mark.django_db
def test_each_product_that_an_import_changes_is_recorded_like_any_other(
    admin: User, recorded_events: RecordedEvents
) -> None:
    run(create(admin, "sku,name,description,price,stock\nA,Desk,Old,5,1\nB,Lamp,Old,5,1\n"))
    product = Product.objects.get(sku="A")
    text = f"sku,description,price,stock\nA,{'x' * 300},6.5,2\nB,Old,5,1\n"
    product_import = create(admin, text)
    events = recorded_events(lambda: run(product_import))
    assert events == [
        ("product.updated", str(admin.pk), str(product.pk)),
        ("product_import.completed", "system", str(product_import.pk)),
    ]
    imported = Event.objects.get(action="product.updated")
    product.refresh_from_db()
    old = {"description": "Old", "price": Decimal("5.00"), "stock": 1}
    changes = {name: (value, getattr(product, name)) for name, value in old.items()}
    record("product.updated", by=admin, target=product, changes=changes)
    event = Event.objects.exclude(pk=imported.pk).get(action="product.updated")
    own = {"sequence", "id", "occurred_at"}
    for field in Event._meta.fields:
        same = getattr(imported, field.name) == getattr(event, field.name)
        assert same or field.name in own, field.name
    assert imported.id.version == 7
