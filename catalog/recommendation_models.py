"""The tables behind recommendations: views of products, and what is counted from them."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import CompanyOwned
from accounts.querysets import CompanyOwnedQuerySet

VIEW_RETENTION = timedelta(days=90)


class ProductViewQuerySet(CompanyOwnedQuerySet):
    def expired(self) -> Self:
        """Keep the views that are older than `VIEW_RETENTION`."""
        return self.filter(day__lt=timezone.now().date() - VIEW_RETENTION)

    def of_deleted_people(self) -> Self:
        return self.exclude(user__deleted_at=None)


class ProductView(CompanyOwned):
    """That a person viewed a product on a day (UTC); the company is the person's."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    product = models.ForeignKey("catalog.Product", models.CASCADE, related_name="views")
    day = models.DateField()

    objects = ProductViewQuerySet.as_manager()

    class Meta(CompanyOwned.Meta):
        verbose_name = "view of a product"
        verbose_name_plural = "views of products"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "product", "day"], name="product_view_unique_per_day"
            )
        ]
        indexes = [
            models.Index(fields=["user", "created_at"], name="product_view_by_user"),
            models.Index(fields=["day"], name="product_view_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.product_id} by {self.user_id} on {self.day}"


class ProductPopularity(models.Model):
    """How many people viewed a product in the last 90 days.

    counted_at: when its co-views were last counted.
    """

    product = models.OneToOneField(
        "catalog.Product", models.CASCADE, primary_key=True, related_name="popularity"
    )
    people = models.PositiveIntegerField()
    counted_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["-people", "product"], name="product_popularity_by_people")]

    def __str__(self) -> str:
        return f"{self.product_id}: {self.people}"


class CoView(models.Model):
    """How strongly views of `product` go together with views of `other`, from 0 to 1."""

    product = models.ForeignKey(
        "catalog.Product", models.CASCADE, related_name="co_views", db_index=False
    )
    other = models.ForeignKey("catalog.Product", models.CASCADE, related_name="+")
    score = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "other"], name="co_view_unique_per_pair")
        ]

    def __str__(self) -> str:
        return f"{self.other_id} with {self.product_id}"
