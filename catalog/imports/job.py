"""The job of an import: stage the file's rows, then compare or write them."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial

from django.db import connection
from django.utils import timezone

from catalog.import_models import ImportChunk, ImportRow, ProductImport
from catalog.imports import batches, staging
from catalog.imports.batches import Batch
from catalog.imports.errors import FileRefused
from common.events import announce_progress, record
from common.jobs import JobFailed, JobResult, Postponed
from common.jobs.status import ACTIVE, JobStatus
from common.postgres.retries import retry_on_disconnect

# After this time other jobs get their turn, and the import continues later.
MAX_WRITING_S = 10.0
# Transactions at the same time: most of the work is that of the database, on one core for each.
WRITERS = 2
ANALYZED_FROM_ROWS = 10_000
# How long the rows of an unconfirmed dry run, and the failed rows of an import, are kept.
UNCONFIRMED_RETENTION = timedelta(days=1)
FAILED_ROW_RETENTION = timedelta(days=30)


def run(job: ProductImport) -> JobResult:
    """Import the file, or continue with it.

    Raises `JobFailed` if the file can't be read, `Postponed` when the time of this run is up, and
    `LostLease` if the import was cancelled.
    """
    announce_progress(job)
    if job.staged_at is None:
        _stage(job)
    if job.dry_run:
        _compare_all(job)
        return JobResult()
    if not any((job.created, job.updated, job.unchanged, job.failed)):
        _start_counting(job)
    _write_all(job)
    return JobResult()


def _stage(job: ProductImport) -> None:
    try:
        staging.stage(job)
    except FileRefused as error:
        raise JobFailed(str(error)) from None


def _start_counting(job: ProductImport) -> None:
    """Begin the counts with the invalid rows, and forget what an earlier dry run has found."""
    batches.clear_conflicts(job)
    job.renew(created=0, updated=0, unchanged=0, failed=batches.count_invalid_rows(job))


def _compare_all(job: ProductImport) -> None:
    _start_counting(job)
    for batch in batches.list_batches(job):
        retry_on_disconnect(partial(batches.compare, batch))


def _write_all(job: ProductImport) -> None:
    waiting = list(batches.list_batches(job))
    if len(waiting) == 1:
        retry_on_disconnect(partial(batches.write, waiting[0]))
    elif waiting:
        _write_in_parallel(waiting, until=time.monotonic() + MAX_WRITING_S)
    _analyze_products(job)


def _analyze_products(job: ProductImport) -> None:
    """Update the planner's statistics after a large import; PostgreSQL itself does it later."""
    job.refresh_from_db(fields=["created", "updated"])
    if job.created + job.updated >= ANALYZED_FROM_ROWS:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE catalog_product")


def _write_in_parallel(waiting: Iterable[Batch], *, until: float) -> None:
    """Write the batches in threads; raise the first error, or `Postponed` after `until`."""
    running: set[Future] = set()
    with ThreadPoolExecutor(WRITERS, "import") as executor:
        for batch in waiting:
            if len(running) == WRITERS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                _raise_errors(done)
                if time.monotonic() > until:
                    _raise_errors(running)
                    raise Postponed(delay=0)
            running.add(executor.submit(_in_thread, partial(batches.write, batch)))
    _raise_errors(running)


def _raise_errors(futures: Iterable[Future]) -> None:
    for future in futures:
        future.result()


def _in_thread(write: Callable[[], None]) -> None:
    try:
        retry_on_disconnect(write)
    finally:
        connection.close()


def record_end(job: ProductImport) -> None:
    """Delete the file of an import that has ended, and record how it ended."""
    ImportChunk.objects.filter(product_import=job).delete()
    if job.status == JobStatus.CANCELLED:
        return
    name = "checked" if job.dry_run and job.status == JobStatus.COMPLETED else job.status
    record(f"product_import.{name}", by=job.user, target=job)


def delete_old_rows() -> int:
    """Delete staged rows that are no longer needed; return how many."""
    now = timezone.now()
    ended = ProductImport.objects.exclude(status__in=ACTIVE)
    unconfirmed = ended.filter(status=JobStatus.COMPLETED, dry_run=True)
    expired = unconfirmed.filter(finished_at__lt=now - UNCONFIRMED_RETENTION)
    expired.update(staged_at=None)
    kept = unconfirmed.filter(staged_at__isnull=False)
    rows = ImportRow.objects.filter(product_import__in=ended.exclude(pk__in=kept))
    waiting = rows.waiting()
    old = rows.filter(product_import__finished_at__lt=now - FAILED_ROW_RETENTION)
    return waiting.delete()[0] + old.delete()[0]
