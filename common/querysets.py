from typing import Self

from django.db import models
from django.db.models.functions import Now


class SoftDeleteQuerySet(models.QuerySet):
    """Rows that are marked as deleted and stay in the table."""

    def live(self) -> Self:
        """Select the rows that are not marked as deleted."""
        return self.filter(deleted_at=None)

    def soft_delete(self) -> int:
        """Mark the live rows as deleted and return their number."""
        return self.live().update(deleted_at=Now(), updated_at=Now())

    def restore(self) -> int:
        """Remove the mark from deleted rows and return their number."""
        return self.exclude(deleted_at=None).update(deleted_at=None, updated_at=Now())
