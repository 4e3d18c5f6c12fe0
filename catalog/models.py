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
from catalog.querysets import ProductQuerySet
from catalog.search_vectors import HeadingVector, ProductVector
from catalog.vocabulary import VocabularyState, Word
from common.caching.invalidation import CachedModel
from common.models import SoftDeleteModel

__all__ = ["Product", "VocabularyState", "Word"]

LIVE = Q(deleted_at=None)
# One product in 32, by chance: the end of an id is random.
SAMPLE = Q(LessThan(Right(Cast("id", CharField()), 2), Value("08")))


class Product(CachedModel, CompanyOwned, SoftDeleteModel):
    """Something that a company offers; anybody may read it as long as it is live."""

    cache_namespaces: ClassVar[tuple[str, ...]] = ("products",)

    name = models.CharField(max_length=200)
    description = models.TextField(max_length=20_000, blank=True)
    price = models.DecimalField(
        max_digits=12, decimal_places=2, validators=[MinValueValidator(Decimal(0))]
    )
    stock = models.PositiveIntegerField(default=0)
    category = models.CharField(max_length=100, blank=True)
    sku = models.CharField("SKU", max_length=64, blank=True)
    heading = models.GeneratedField(
        expression=HeadingVector(), output_field=SearchVectorField(), db_persist=True
    )
    vector = models.GeneratedField(
        expression=ProductVector(), output_field=SearchVectorField(), db_persist=True
    )

    objects = ProductQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["company", "sku"],
                condition=LIVE & ~Q(sku=""),
                name="product_sku_once_in_company",
            ),
            models.CheckConstraint(condition=Q(price__gte=0), name="product_price_not_negative"),
            models.CheckConstraint(condition=Q(stock__gte=0), name="product_stock_not_negative"),
        ]
        # Every list is ordered by one of these and then by id in the same direction: so pages are
        # stable, one index serves both directions, and a page far down is found by its first row.
        indexes = [
            # With the company, which says whether it is public, rows are counted here alone.
            models.Index(fields=["id"], include=["company"], condition=LIVE, name="product_by_age"),
            models.Index(
                fields=["price", "id"], include=["company"], condition=LIVE, name="product_by_price"
            ),
            models.Index(fields=["name", "id"], condition=LIVE, name="product_by_name"),
            models.Index(fields=["stock", "id"], condition=LIVE, name="product_by_stock"),
            models.Index(fields=["created_at", "id"], condition=LIVE, name="product_by_creation"),
            models.Index(
                fields=["category", "price", "id"],
                include=["company", "stock"],
                condition=LIVE,
                name="product_by_category",
            ),
            models.Index(
                fields=["category", "id"],
                include=["price"],
                condition=LIVE,
                name="product_in_category",
            ),
            models.Index(fields=["company", "id"], condition=LIVE, name="product_by_company"),
            models.Index(Upper("sku"), condition=LIVE & ~Q(sku=""), name="product_by_sku"),
            models.Index(fields=["updated_at"], name="product_by_change"),
            # Without a list of pending entries: each search would read all of it.
            GinIndex(fields=["heading"], condition=LIVE, name="product_heading", fastupdate=False),
            GinIndex(fields=["vector"], condition=LIVE, name="product_vector", fastupdate=False),
            # To collect all rows with a common word takes long: a sample has good ones too.
            GinIndex(
                fields=["heading"],
                condition=LIVE & SAMPLE,
                name="product_heading_sample",
                fastupdate=False,
            ),
            GinIndex(
                fields=["vector"],
                condition=LIVE & SAMPLE,
                name="product_vector_sample",
                fastupdate=False,
            ),
            GinIndex(
                OpClass(Upper("name"), name="gin_trgm_ops"),
                condition=LIVE,
                name="product_name_part",
            ),
        ]

    def __str__(self) -> str:
        return self.name
