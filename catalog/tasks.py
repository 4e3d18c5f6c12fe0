import structlog
from celery import shared_task

from catalog import embedding_job, vocabulary_refresh
from catalog.import_models import ProductImport
from catalog.imports import job as import_job
from catalog.models import EmbeddingModel
from catalog.recommendations import counting, view_recording
from common.jobs import JobResult, handles, on_end, on_postpone

log = structlog.get_logger(__name__)


@shared_task(ignore_result=True)
def refresh_vocabulary() -> None:
    """Read the words of the products that have changed."""
    if vocabulary_refresh.refresh():
        log.info("vocabulary_refreshed")


@shared_task(ignore_result=True)
def insert_pending_views() -> None:
    """Insert the views of products that wait in Valkey."""
    if count := view_recording.insert_pending_views():
        log.info("views_inserted", count=count)


@shared_task(ignore_result=True)
def refresh_recommendations() -> None:
    """Delete old views, and count who viewed what and which products go together."""
    deleted = view_recording.delete_old_views()
    counted = counting.refresh_counts()
    log.info("recommendations_refreshed", deleted_views=deleted, counted_products=counted)


@shared_task(ignore_result=True)
def request_embeddings() -> None:
    """Queue the embedding of products that have changed."""
    embedding_job.request_embeddings()


@handles(EmbeddingModel)
def embed_products(model: EmbeddingModel) -> JobResult:
    return embedding_job.embed_products(model)


@on_end(EmbeddingModel)
def use_completed_model(model: EmbeddingModel) -> None:
    embedding_job.use_completed_model(model)


@handles(ProductImport)
def import_products(product_import: ProductImport) -> JobResult:
    return import_job.run(product_import)


@on_end(ProductImport)
def record_end_of_import(product_import: ProductImport) -> None:
    import_job.record_end(product_import)


@on_postpone(ProductImport)
def continue_import(product_import: ProductImport) -> None:
    product_import.publish()


@shared_task
def delete_old_import_rows() -> int:
    """Delete the rows of imports that nobody needs any more; return how many."""
    return import_job.delete_old_rows()
