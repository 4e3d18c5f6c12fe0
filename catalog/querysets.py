from typing import Self

from accounts.querysets import CompanyOwnedQuerySet, Viewer
from catalog.public_fields import COLUMNS
from common.caching.invalidation import CachedQuerySet
from common.querysets import SoftDeleteQuerySet


class ProductQuerySet(CachedQuerySet, CompanyOwnedQuerySet, SoftDeleteQuerySet):
    def public(self) -> Self:
        """Keep what anyone may read: live products of active companies."""
        return self.live().filter(company__is_active=True)

    def in_stock(self) -> Self:
        return self.filter(stock__gt=0)

    def not_viewed_by(self, user: Viewer) -> Self:
        """Remove the products that the user has viewed in the last 90 days."""
        return self.exclude(views__user_id=user.pk)

    def with_public_fields(self) -> Self:
        """Load only the columns of the public fields, those of the company included."""
        return self.select_related("company").only(*COLUMNS)

    def visible_to(self, user: Viewer) -> Self:
        """Keep the live products of the user's company; its admins may change them."""
        visible: Self = super().visible_to(user)
        return visible.live()
