from typing import Self

from accounts.querysets import CompanyOwnedQuerySet, Viewer
from common.caching.invalidation import CachedQuerySet
from common.querysets import SoftDeleteQuerySet

SHOWN = (
    "id",
    "name",
    "description",
    "price",
    "stock",
    "category",
    "sku",
    "company_id",
    "created_at",
    "updated_at",
    "deleted_at",
)


class ProductQuerySet(CachedQuerySet, CompanyOwnedQuerySet, SoftDeleteQuerySet):
    def public(self) -> Self:
        """What anybody may read: live products of companies that are open."""
        return self.live().filter(company__is_active=True)

    def shown(self) -> Self:
        """With what clients are shown of a product, its company included, and no more."""
        company = [f"company__{name}" for name in ("id", "code", "name")]
        return self.select_related("company").only(*SHOWN, *company)

    def visible_to(self, user: Viewer) -> Self:
        """The live products of the person's company: those that they may be let to change."""
        own: Self = super().visible_to(user)
        return own.live()
