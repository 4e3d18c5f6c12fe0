import structlog
from celery import shared_task

from catalog import vocabulary_refresh
from catalog.import_models import ProductImport
from catalog.imports import job
from common.jobs import JobResult, handles, on_end, on_postpone

log = structlog.get_logger(__name__)


@shared_task(ignore_result=True)
def refresh_vocabulary() -> None:
    """Read the words of the products that have changed."""
    if vocabulary_refresh.refresh():
        log.info("vocabulary_refreshed")


@handles(ProductImport)
def import_products(product_import: ProductImport) -> JobResult:
    return job.run(product_import)


@on_end(ProductImport)
def record_end_of_import(product_import: ProductImport) -> None:
    job.record_end(product_import)


@on_postpone(ProductImport)
def continue_import(product_import: ProductImport) -> None:
    product_import.publish()


@shared_task
def delete_old_import_rows() -> int:
    """Delete the rows of imports that nobody needs any more; return how many."""
    return job.delete_old_rows()
