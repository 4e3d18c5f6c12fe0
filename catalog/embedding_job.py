"""The job that embeds products: it reads those that have changed, in the order of their changes.

A product whose text has not changed keeps its vector, and an equal text is not embedded twice. The
progress is stored after each batch, so a run that ends early loses nothing that was paid for.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from catalog import similarity_scale
from catalog.models import EmbeddingModel, Product, ProductEmbedding
from common.ai import embeddings
from common.ai.embeddings import TextRefused, Vector
from common.ai.ledger import Purpose, open_ledger
from common.caching.invalidation import invalidate_on_commit
from common.jobs import JobResult, Postponed, RetryLater
from common.jobs.querysets import requeue_columns
from common.jobs.status import ACTIVE, JobStatus

# A transaction may commit rows some time after it has set their `updated_at`.
COMMIT_DELAY = timedelta(minutes=1)
READ_BATCH_SIZE = 500
EMBED_BATCH_SIZE = 32
# After this time a run ends and continues later, so that other jobs get their turn.
MAX_RUN_S = 5.0
# How long a model waits that has failed in all its attempts.
FAILURE_PAUSE = timedelta(minutes=10)
MAX_DESCRIPTION_CHARS = 100
# A refused text is cut in half until it is accepted, but not below this length.
MIN_TEXT_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingResult(JobResult):
    """The columns of a model whose vectors are complete."""

    read_until: datetime
    completed_at: datetime
    read_until_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """A text, and the products that have it; the first one's company pays for its vector."""

    text: str
    content_hash: str
    products: list[Product]


def request_embeddings() -> None:
    """Queue the job of the current model if products have changed, unless it is queued or runs."""
    name = embeddings.current_model()
    with transaction.atomic():
        model, created = EmbeddingModel.objects.get_or_create(name=name)
        if created or (_has_changes(model) and _requeue_if_idle(model)):
            model.publish_on_commit()


def _has_changes(model: EmbeddingModel) -> bool:
    changed = Product.objects.live().filter(updated_at__gt=model.read_until)
    return model.completed_at is None or changed.exists()


def _requeue_if_idle(model: EmbeddingModel) -> bool:
    is_failed = Q(status=JobStatus.FAILED, finished_at__gt=Now() - FAILURE_PAUSE)
    idle = EmbeddingModel.objects.filter(pk=model.pk).exclude(is_failed | Q(status__in=ACTIVE))
    return bool(idle.update(**requeue_columns()))


def embed_products(job: EmbeddingModel) -> JobResult:
    """Embed the products that have changed since the last run.

    Raises `Postponed` if there are more than one run can do, and `RetryLater` if the provider
    fails. A model that the settings no longer name has nothing to do.
    """
    if job.name != embeddings.current_model():
        return JobResult()
    started, deadline = timezone.now(), time.monotonic() + MAX_RUN_S
    while products := _read_changed(job):
        try:
            if job.dimensions is None:
                _measure_model(job)
            _embed(job, products)
        except (TextRefused, embeddings.ProviderUnavailable) as error:
            raise RetryLater(str(error), delay=getattr(error, "retry_after", None)) from None
        job.read_until, job.read_until_id = products[-1].updated_at, products[-1].pk
        job.renew(read_until=job.read_until, read_until_id=job.read_until_id)
        if time.monotonic() > deadline:
            raise Postponed(delay=0)
    return EmbeddingResult(
        read_until=min(job.read_until, started - COMMIT_DELAY),
        completed_at=job.completed_at or started,
    )


def _measure_model(job: EmbeddingModel) -> None:
    """Store the dimensions of a new model and the scale of its similarities."""
    recorder = open_ledger(purpose=Purpose.EMBEDDING, company_id=None)
    vectors = embeddings.embedder(job.name).embed(similarity_scale.TEXTS, recorder=recorder)
    job.dimensions, scale = len(vectors[0]), similarity_scale.measure_scale(vectors)
    job.renew(
        dimensions=job.dimensions,
        similarity_floor=scale.floor,
        similarity_ceiling=scale.ceiling,
    )


def _read_changed(job: EmbeddingModel) -> list[Product]:
    is_later = Q(updated_at__gt=job.read_until)
    if job.read_until_id:
        is_later |= Q(updated_at=job.read_until, pk__gt=job.read_until_id)
    changed = Product.objects.live().filter(is_later, updated_at__gte=job.read_until)
    columns = changed.only("pk", "company_id", "name", "category", "description", "updated_at")
    return list(columns.order_by("updated_at", "pk")[:READ_BATCH_SIZE])


def _embed(job: EmbeddingModel, products: Sequence[Product]) -> None:
    """Store the vectors of those of the products whose text has changed."""
    contents = _changed_contents(job, products)
    by_hash = {content.content_hash: content for content in contents}
    stored = ProductEmbedding.objects.filter(model=job.name, content_hash__in=by_hash)
    known = dict(
        stored.order_by("content_hash")
        .distinct("content_hash")
        .values_list("content_hash", "vector")
    )
    _store(job, [(by_hash[key], vector) for key, vector in known.items()])
    missing = [content for content in contents if content.content_hash not in known]
    for batch in _by_company(missing):
        _store(job, zip(batch, _request_vectors(job, batch), strict=True))


def _changed_contents(job: EmbeddingModel, products: Sequence[Product]) -> list[Content]:
    """Return the texts that differ from the embedded ones."""
    rows = ProductEmbedding.objects.filter(model=job.name, product__in=products)
    hashes = dict(rows.values_list("product_id", "content_hash"))
    contents: dict[str, Content] = {}
    for product in products:
        text = compose_text(product)
        key = sha256(text.encode()).hexdigest()
        if hashes.get(product.pk) != key:
            contents.setdefault(key, Content(text, key, [])).products.append(product)
    return list(contents.values())


def compose_text(product: Product) -> str:
    """Return the text of a product that is embedded."""
    parts = (product.name, product.category, product.description[:MAX_DESCRIPTION_CHARS])
    return ". ".join(filter(None, parts))


def _by_company(contents: Iterable[Content]) -> Iterator[list[Content]]:
    """Yield batches of texts for which one company pays."""
    ordered = sorted(contents, key=lambda content: content.products[0].company_id)
    for _, group in groupby(ordered, key=lambda content: content.products[0].company_id):
        of_company = list(group)
        for start in range(0, len(of_company), EMBED_BATCH_SIZE):
            yield of_company[start : start + EMBED_BATCH_SIZE]


def _request_vectors(job: EmbeddingModel, batch: list[Content]) -> list[Vector | None]:
    """Return a vector for each text, None where it is refused."""
    job.renew()
    company_id = batch[0].products[0].company_id
    vectors = _embed_accepted(job, [content.text for content in batch], company_id)
    for vector in filter(None, vectors):
        _check_dimensions(job, vector)
    return vectors


def _embed_accepted(job: EmbeddingModel, texts: list[str], company_id: UUID) -> list[Vector | None]:
    """Return the vectors of those texts that are accepted, in full or in part."""
    recorder = open_ledger(purpose=Purpose.EMBEDDING, company_id=company_id)
    try:
        return [*embeddings.embedder(job.name).embed(texts, recorder=recorder)]
    except TextRefused:
        pass
    if len(texts) > 1:
        half = len(texts) // 2
        parts = texts[:half], texts[half:]
        return [vector for part in parts for vector in _embed_accepted(job, part, company_id)]
    if len(texts[0]) > MIN_TEXT_CHARS:
        return _embed_accepted(job, [texts[0][: len(texts[0]) // 2]], company_id)
    return [None]


def _check_dimensions(job: EmbeddingModel, vector: Vector) -> None:
    if len(vector) != job.dimensions:
        raise RetryLater(
            f"The model sent a vector of {len(vector)} dimensions, before that of {job.dimensions}."
        )


def _store(job: EmbeddingModel, vectors: Iterable[tuple[Content, Vector | None]]) -> None:
    rows = [
        ProductEmbedding(
            company_id=product.company_id,
            product_id=product.pk,
            model=job.name,
            content_hash=content.content_hash,
            dimensions=vector and len(vector),
            vector=vector,
        )
        for content, vector in vectors
        for product in content.products
    ]
    if not rows:
        return
    # Other vectors are used until the first completion.
    is_in_use = job.completed_at or not EmbeddingModel.objects.exclude(completed_at=None).exists()
    with invalidate_on_commit(*(["products"] if is_in_use else [])):
        ProductEmbedding.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["product", "model"],
            update_fields=["content_hash", "dimensions", "vector", "updated_at"],
        )


def use_completed_model(job: EmbeddingModel) -> None:
    """Delete the vectors of other models once those of this one are complete."""
    if job.completed_at is None or job.name != embeddings.current_model():
        return
    others = list(EmbeddingModel.objects.exclude(pk=job.pk).values_list("name", flat=True))
    if others:
        with invalidate_on_commit("products"):
            ProductEmbedding.objects.filter(model__in=others).delete()
            EmbeddingModel.objects.filter(name__in=others).delete()
