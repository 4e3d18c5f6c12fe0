"""An import is exact although its worker is killed again and again, and others write.

Run by `make chaos-imports`. A real worker imports a file while this process kills its children. A
run of the worker is short, so kills hit the staging as well as the writing.
"""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import Count
from rest_framework.test import APIClient

from accounts.models import User
from catalog.import_models import ImportChunk, ImportRow, ProductImport
from catalog.models import Product
from common.tests.support import Beat, Broker, Worker, eventually

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/products/imports"
ROWS = 40_000
FAST_LEASES = {"JOB_LEASE_SECONDS": "2", "JOB_SWEEP_SECONDS": "0.5"}
MAX_WAIT_S = 240


@pytest.fixture(scope="module")
def worker(django_db_blocker: Any, beat: Beat, broker: Broker, folder: Path) -> Iterator[Worker]:
    with (
        django_db_blocker.unblock(),
        Worker(broker.url, folder, concurrency=3, environment=FAST_LEASES) as worker,
    ):
        yield worker


@pytest.fixture
def client(as_user: Callable[[User], APIClient], admin: User, broker: Broker) -> APIClient:
    broker.client.flushall()
    return as_user(admin)


def post(client: APIClient, rows: int, *, price: int = 5) -> ProductImport:
    lines = "".join(f"SKU-{n},Desk {n},{price},{n % 50}\n" for n in range(rows))
    invalid = "BAD-1,,5,1\nSKU-0,Twice,5,1\n"
    file = SimpleUploadedFile("a.csv", f"sku,name,price,stock\n{lines}{invalid}".encode())
    response = client.post(URL, {"file": file}, format="multipart")
    assert response.status_code == 202, response.content
    return ProductImport.objects.get(pk=response.json()["id"])


def wait_for_end(product_import: ProductImport) -> ProductImport:
    active = ProductImport.objects.filter(
        pk=product_import.pk, status__in=("queued", "in_progress")
    )
    eventually(lambda: not active.exists(), "the import ends", within=MAX_WAIT_S)
    product_import.refresh_from_db()
    return product_import


def counts(product_import: ProductImport) -> tuple[Any, ...]:
    row = product_import
    return row.status, row.created, row.updated, row.unchanged, row.failed


def test_a_killed_import_continues_where_it_was(client: APIClient, worker: Worker) -> None:
    product_import = post(client, ROWS)
    kills = 0
    for staged, written in ((10_000, 0), (ROWS, 5_000), (ROWS, 20_000)):
        rows = ProductImport.objects.filter(
            pk=product_import.pk, total_rows__gte=staged, created__gte=written
        )
        eventually(rows.exists, f"{staged} are staged, {written} written", within=MAX_WAIT_S)
        worker.signal_children(signal.SIGKILL)
        kills += 1
    ended = wait_for_end(product_import)
    assert counts(ended) == ("completed", ROWS, 0, 0, 2)
    assert ended.attempts > 1
    assert ended.total_rows == ROWS + 2
    assert Product.objects.count() == ROWS
    assert not ImportChunk.objects.exists()
    assert ImportRow.objects.count() == 2
    print(f"{kills} kills, {ended.attempts} attempts")


def test_a_cancelled_import_tells_what_it_has_done(client: APIClient, worker: Worker) -> None:
    product_import = post(client, ROWS)
    begun = ProductImport.objects.filter(pk=product_import.pk, created__gt=0)
    eventually(begun.exists, "the writing has begun", within=MAX_WAIT_S)
    body = client.post(f"{URL}/{product_import.pk}/cancel").json()
    assert body["status"] == "cancelled"
    time.sleep(2)  # a batch that is being written ends
    product_import.refresh_from_db()
    assert Product.objects.count() == product_import.created == body["created"]


def test_two_imports_and_writes_by_the_api_neither_wait_for_ever_nor_repeat_a_sku(
    client: APIClient, worker: Worker
) -> None:
    imports = [post(client, ROWS // 2, price=price) for price in (5, 6)]
    with ThreadPoolExecutor(1) as executor:
        edits = executor.submit(_edit_products, client, lambda: _are_active(imports))
        ended = [wait_for_end(product_import) for product_import in imports]
        edited = edits.result()
    assert [row.status for row in ended] == ["completed"] * 2
    assert sum(row.created for row in ended) == ROWS // 2
    for row in ended:
        assert row.created + row.updated + row.unchanged == ROWS // 2
    repeated = Product.objects.values("sku").annotate(n=Count("pk")).filter(n__gt=1)
    assert not repeated.exists()
    # No import has a column for the category, so no edit of it is lost.
    assert edited
    for pk in edited:
        assert Product.objects.get(pk=pk).category == "Edited"


def _are_active(imports: list[ProductImport]) -> bool:
    ids = [product_import.pk for product_import in imports]
    return ProductImport.objects.filter(pk__in=ids, status__in=("queued", "in_progress")).exists()


def _edit_products(client: APIClient, is_active: Callable[[], bool]) -> set[Any]:
    """Change products by the API while imports run; return their ids."""
    edited = set()
    try:
        while is_active():
            pk = Product.objects.order_by("?").values_list("pk", flat=True).first()
            if pk is not None:
                response = client.patch(f"/api/v1/products/{pk}", {"category": "Edited"})
                assert response.status_code == 200, response.content
                edited.add(pk)
            time.sleep(0.05)
        return edited
    finally:
        connection.close()
