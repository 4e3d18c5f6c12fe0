"""Compare staged rows with the products, and write the differences, batch by batch.

A batch is one transaction: it locks its products, writes them, deletes the staged rows that are
done, and adds to the counters of the import. So a run continues exactly where a killed one stopped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from catalog.import_models import ImportRow, ProductImport
from catalog.imports import batch_sql
from catalog.models import Product
from common.caching.invalidation import invalidate_on_commit
from common.events.bulk import record_query
from common.ids import uuid7

BATCH_ROWS = 5_000
MAX_TRIES = 5
CACHE_NAMESPACE = "products"


@dataclass(frozen=True, slots=True)
class Batch:
    """The staged rows of an import with these ids, at most `BATCH_ROWS`."""

    job: ProductImport
    first_id: int
    last_id: int

    def parameters(self) -> dict[str, Any]:
        return {
            "import_id": self.job.pk,
            "company_id": self.job.company_id,
            "first_id": self.first_id,
            "last_id": self.last_id,
        }


class ProductAppeared(Exception):
    """Another transaction has created a product with a SKU of this batch in the meantime."""


def list_batches(job: ProductImport) -> Iterator[Batch]:
    """Yield the batches of the staged rows that wait."""
    ids = ImportRow.objects.filter(product_import=job).waiting()
    first = ids.order_by("id").values_list("id", flat=True).first()
    last = ids.order_by("-id").values_list("id", flat=True).first()
    if first is not None and last is not None:
        for start in range(first, last + 1, BATCH_ROWS):
            yield Batch(job, start, min(start + BATCH_ROWS - 1, last))


def clear_conflicts(job: ProductImport) -> None:
    """Forget the result of an earlier comparison."""
    ImportRow.objects.filter(product_import=job, conflicts__isnull=False).update(conflicts=None)


def count_invalid_rows(job: ProductImport) -> int:
    return ImportRow.objects.filter(product_import=job, errors__isnull=False).count()


def compare(batch: Batch) -> None:
    """Count what the batch would do."""
    with transaction.atomic():
        _compare(batch)
        counts = _count(batch)
        _execute(batch_sql.DROP_COMPARISON, batch)
        batch.job.add_counts(counts)


def write(batch: Batch) -> None:
    """Write the batch. Raises `LostLease`, and writes nothing, if the import was cancelled."""
    for _ in range(MAX_TRIES - 1):
        try:
            return _write_once(batch)
        except ProductAppeared:
            continue
    return _write_once(batch)


@transaction.atomic
def _write_once(batch: Batch) -> None:
    _execute(batch_sql.LOCK_PRODUCTS, batch)
    _compare(batch)
    counts = _count(batch)
    if counts["updated"]:
        # First, while the products have their old values.
        _record("product.updated", batch, batch_sql.select_updates(batch.job.columns))
        _execute(batch_sql.update_products(batch.job.columns), batch)
    if counts["created"]:
        _insert_products(batch, counts["created"])
    _execute(batch_sql.DELETE_DONE_ROWS, batch)
    _execute(batch_sql.DROP_COMPARISON, batch)
    if counts["created"] or counts["updated"]:
        # Last: until the commit no cached response is used.
        with invalidate_on_commit(CACHE_NAMESPACE):
            batch.job.add_counts(counts)
    else:
        batch.job.add_counts(counts)


def _compare(batch: Batch) -> None:
    """Find the product of each row, and store the conflicts of rows that can't be imported."""
    job = batch.job
    _execute(batch_sql.create_comparison(job.columns), batch)
    _execute(batch_sql.find_conflicts(job.mode), batch, sku_column=job.title_of("sku"))


def _count(batch: Batch) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(batch_sql.COUNT)
        row = cursor.fetchone()
    return dict(zip(("created", "updated", "unchanged", "failed"), row, strict=True))


def _insert_products(batch: Batch, count: int) -> None:
    ids = sorted(uuid7() for _ in range(count))
    if _execute(batch_sql.insert_products(batch.job.columns), batch, ids=ids) < count:
        raise ProductAppeared
    _record("product.created", batch, batch_sql.SELECT_INSERTED, ids=ids)


def _record(action: str, batch: Batch, query: str, **parameters: Any) -> None:
    job = batch.job
    record_query(
        action,
        by=job.user,
        model=Product,
        company_id=job.company_id,
        query=query,
        parameters=parameters,
    )


def _execute(sql: str, batch: Batch, **parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, {**batch.parameters(), **parameters})
        return cursor.rowcount
