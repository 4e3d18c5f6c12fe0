from decimal import Decimal
from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import CharField, Q, Value
from django.db.models.functions import Cast, Right, Upper
from django.db.models.lookups import LessThan

from accounts.models import CompanyOwned
from catalog.embedding_models import EmbeddingModel, ProductEmbedding
from catalog.import_models import ImportChunk, ImportRow, ProductImport
from catalog.querysets import ProductQuerySet
from catalog.recommendation_models import CoView, ProductPopularity, ProductView
from catalog.search_vectors import HeadingVector, ProductVector, SkuCode
from catalog.vocabulary import VocabularyState, Word
from common.caching.invalidation import CachedModel
from common.events import EventKind
from common.models import SoftDeleteModel
from common.normalization import NfcCharField

__all__ = [
    "CoView",
    "EmbeddingModel",
    "ImportChunk",
    "ImportRow",
    "Product",
    "ProductEmbedding",
    "ProductImport",
    "ProductPopularity",
    "ProductView",
    "VocabularyState",
    "Word",
]

LIVE = Q(deleted_at=None)
# One product in 32 at random: the last digits of an id are random.
SEARCH_SAMPLE = Q(LessThan(Right(Cast("id", CharField()), 2), Value("08")))


class Product(CachedModel, CompanyOwned, SoftDeleteModel):
    """An article that a company sells; anyone may read it while it is live."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="product", actions="created updated deleted restored", label="name"
    )

    cache_namespaces: ClassVar[tuple[str, ...]] = ("products",)

    name = NfcCharField(max_length=200)
    description = models.TextField(max_length=20_000, blank=True)
    price = models.DecimalField(
        max_digits=12, decimal_places=2, validators=[MinValueValidator(Decimal(0))]
    )
    stock = models.PositiveIntegerField(default=0)
    category = NfcCharField(max_length=100, blank=True)
    # Rows of release 1.0 may have none ("").
    sku = NfcCharField("SKU", max_length=64)
    heading_vector = models.GeneratedField(
        expression=HeadingVector(), output_field=SearchVectorField(), db_persist=True
    )
    search_vector = models.GeneratedField(
        expression=ProductVector(), output_field=SearchVectorField(), db_persist=True
    )

    objects = ProductQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["company", "sku"],
                condition=LIVE & ~Q(sku=""),
                name="product_unique_sku_in_company",
            ),
            models.CheckConstraint(condition=Q(price__gte=0), name="product_price_not_negative"),
            models.CheckConstraint(condition=Q(stock__gte=0), name="product_stock_not_negative"),
        ]
        # A list is ordered by one of these columns, then by id in the same direction. So pages are
        # stable, one index serves both directions, and an anchor row finds a deep page.
        indexes = [
            # The company decides whether a row is public; with it the index alone can count.
            models.Index(fields=["id"], include=["company"], condition=LIVE, name="product_by_id"),
            models.Index(
                fields=["price", "id"], include=["company"], condition=LIVE, name="product_by_price"
            ),
            models.Index(fields=["name", "id"], condition=LIVE, name="product_by_name"),
            models.Index(fields=["stock", "id"], condition=LIVE, name="product_by_stock"),
            models.Index(fields=["created_at", "id"], condition=LIVE, name="product_by_created_at"),
            models.Index(
                fields=["category", "price", "id"],
                include=["company", "stock"],
                condition=LIVE,
                name="product_by_category_price",
            ),
            models.Index(
                fields=["category", "id"],
                include=["price"],
                condition=LIVE,
                name="product_by_category",
            ),
            models.Index(fields=["company", "id"], condition=LIVE, name="product_by_company"),
            models.Index(Upper("sku"), condition=LIVE & ~Q(sku=""), name="product_by_sku"),
            models.Index(SkuCode("sku"), condition=LIVE & ~Q(sku=""), name="product_by_sku_code"),
            models.Index(fields=["updated_at"], name="product_by_updated_at"),
            # Without `fastupdate`: each search would have to read the whole pending list.
            GinIndex(
                fields=["search_vector"],
                condition=LIVE,
                name="product_search_vector",
                fastupdate=False,
            ),
            # Reading all rows with a common word takes too long; a sample also has good matches.
            GinIndex(
                fields=["search_vector"],
                condition=LIVE & SEARCH_SAMPLE,
                name="product_search_vector_sample",
                fastupdate=False,
            ),
            GinIndex(
                OpClass(Upper("name"), name="gin_trgm_ops"),
                condition=LIVE,
                name="product_name_trigrams",
            ),
        ]

    def __str__(self) -> str:
        return self.name
