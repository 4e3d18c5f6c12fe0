"""The tables of embeddings: a vector for each product and model, and the progress of each model."""

from datetime import UTC, datetime
from typing import ClassVar

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from pgvector.django import HalfVectorField, HnswIndex

from accounts.models import CompanyOwned
from common.jobs import Job

# An index has one number of dimensions. These are the usual ones of models; the vectors of another
# model are compared one by one.
INDEXED_DIMENSIONS = (384, 512, 768, 1024, 1536, 3072)
START_OF_TIME = datetime(1000, 1, 1, tzinfo=UTC)


class ProductEmbedding(CompanyOwned):
    """The vector of a product's text by one model.

    content_hash: identifies the text, so that an equal one is not embedded again.
    vector, dimensions: null if the provider refuses the text.
    """

    product = models.ForeignKey("catalog.Product", models.CASCADE, related_name="embeddings")
    model = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)
    dimensions = models.PositiveSmallIntegerField(null=True)
    vector = HalfVectorField(null=True)

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["product", "model"], name="product_embedding_unique_by_model"
            )
        ]
        indexes = [
            models.Index(fields=["model", "content_hash"], name="product_embedding_by_content"),
            *(
                HnswIndex(
                    OpClass(
                        Cast("vector", HalfVectorField(dimensions=dimensions)),
                        name="halfvec_cosine_ops",
                    ),
                    condition=Q(dimensions=dimensions),
                    name=f"product_embedding_hnsw_{dimensions}",
                )
                for dimensions in INDEXED_DIMENSIONS
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_id} by {self.model}"


class EmbeddingModel(Job):
    """A model and the job that embeds products with it: one row, requeued after changes.

    dimensions: the length of its vectors; null before the first.
    similarity_floor, similarity_ceiling: between these the similarity of a query and a product says
    how well they match: below the floor not at all; see `catalog.similarity_scale`.
    read_until, read_until_id: the last product that was read, by `updated_at` and id.
    completed_at: when all products had a vector for the first time. Until then the vectors of the
    model before are used.
    """

    max_attempts: ClassVar[int] = 20
    queue_name = "control"

    name = models.CharField(max_length=100, unique=True, editable=False)
    dimensions = models.PositiveSmallIntegerField(null=True, editable=False)
    similarity_floor = models.FloatField(null=True, editable=False)
    similarity_ceiling = models.FloatField(null=True, editable=False)
    read_until = models.DateTimeField(default=START_OF_TIME, editable=False)
    read_until_id = models.UUIDField(null=True, editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)

    class Meta(Job.Meta):
        verbose_name = "embedding model"

    def __str__(self) -> str:
        return self.name
