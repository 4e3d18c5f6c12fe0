"""Products by meaning: those whose vectors are nearest to another vector."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Expression, F, QuerySet
from django.db.models.functions import Cast
from pgvector.django import CosineDistance, HalfVectorField

from catalog.embedding_models import INDEXED_DIMENSIONS, EmbeddingModel
from catalog.models import Product, ProductEmbedding
from catalog.querysets import ProductQuerySet

# Up to this many products are compared one by one, which finds the nearest for certain.
MAX_COMPARED_PRODUCTS = 50_000

# The index returns the nearest rows in order, and goes on until enough of them pass the filters.
# The other settings keep the planner from comparing and sorting all rows.
INDEX_SCAN = """
    SELECT set_config('hnsw.iterative_scan', 'strict_order', true),
           set_config('hnsw.max_scan_tuples', '200000', true),
           set_config('hnsw.scan_mem_multiplier', '8', true),
           set_config('hnsw.ef_search', '400', true),
           set_config('enable_sort', 'off', true),
           set_config('enable_hashjoin', 'off', true),
           set_config('enable_mergejoin', 'off', true),
           set_config('jit', 'off', true)
"""


class Neighbour(NamedTuple):
    """A product and its cosine similarity, at most 1."""

    id: UUID
    similarity: float


def find_serving_model() -> EmbeddingModel | None:
    """Return the model whose vectors are used: the last one with vectors for all products.

    Before there is one, it is the newest with any vector.
    """
    models = EmbeddingModel.objects.exclude(dimensions=None)
    return models.order_by(F("completed_at").desc(nulls_last=True), "-id").first()


def load_vectors(product_ids: Iterable[UUID], *, model: str) -> dict[UUID, list[float]]:
    """Return the vectors of these products, without those that have none yet."""
    rows = ProductEmbedding.objects.filter(product_id__in=product_ids, model=model)
    return dict(rows.exclude(vector=None).values_list("product_id", "vector"))


def nearest_products(
    product: Product,
    *,
    limit: int,
    exclude: Collection[UUID] = (),
    products: ProductQuerySet | None = None,
) -> list[Neighbour]:
    """Return the products that are most like `product`, without itself and those in `exclude`.

    They are among `products`, by default all that are public. The result is empty while `product`
    has no vector.
    """
    model = find_serving_model()
    vector = model and load_vectors([product.pk], model=model.name).get(product.pk)
    if not model or not vector:
        return []
    candidates = Product.objects.public() if products is None else products
    others = candidates.exclude(pk__in=[product.pk, *exclude])
    return find_nearest(others, vector, model=model.name, limit=limit)


def find_nearest(
    products: QuerySet, vector: Sequence[float], *, model: str, limit: int
) -> list[Neighbour]:
    """Return up to `limit` of the products, the most similar to `vector` first."""
    dimensions = len(vector)
    rows = products.order_by().filter(embeddings__model=model, embeddings__dimensions=dimensions)
    if dimensions not in INDEXED_DIMENSIONS or _are_few(products):
        return _read_nearest(rows, F("embeddings__vector"), vector, limit)
    indexed = Cast("embeddings__vector", HalfVectorField(dimensions=dimensions))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INDEX_SCAN)
        return _read_nearest(rows, indexed, vector, limit)


def _read_nearest(
    rows: QuerySet, column: Expression | F, vector: Sequence[float], limit: int
) -> list[Neighbour]:
    nearest = rows.annotate(distance=CosineDistance(column, list(vector))).order_by("distance")
    found = nearest.values_list("pk", "distance")[:limit]
    return [Neighbour(pk, 1 - distance) for pk, distance in found]


def _are_few(products: QuerySet) -> bool:
    some = products.order_by().values("pk")[: MAX_COMPARED_PRODUCTS + 1]
    return some.count() <= MAX_COMPARED_PRODUCTS
