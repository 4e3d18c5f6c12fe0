from typing import Self

from django.db import models
from django.db.models.functions import Now


class SoftDeleteQuerySet(models.QuerySet):
    """Rows that are marked instead of removed; `live()` hides the marked ones."""

    def live(self) -> Self:
        return self.filter(deleted_at=None)

    def soft_delete(self) -> int:
        """Mark the rows that are still live and return how many there were."""
        return self.live().update(deleted_at=Now(), updated_at=Now())

    def restore(self) -> int:
        return self.exclude(deleted_at=None).update(deleted_at=None, updated_at=Now())
