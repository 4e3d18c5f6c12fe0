from typing import Self

from accounts.querysets import CompanyOwnedQuerySet, Viewer
from catalog.fields import COLUMNS
from common.caching.invalidation import CachedQuerySet
from common.querysets import SoftDeleteQuerySet


class ProductQuerySet(CachedQuerySet, CompanyOwnedQuerySet, SoftDeleteQuerySet):
    def public(self) -> Self:
        """Filter to what anyone may read: live products of active companies."""
        return self.live().filter(company__is_active=True)

    def with_public_fields(self) -> Self:
        """Load only the columns of the public fields, those of the company included."""
        return self.select_related("company").only(*COLUMNS)

    def visible_to(self, user: Viewer) -> Self:
        """Filter to the live products of the user's company, which they may be able to change."""
        visible: Self = super().visible_to(user)
        return visible.live()
