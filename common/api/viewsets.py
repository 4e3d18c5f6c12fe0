from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError

from common.api.sparse_fields import SparseFieldsMixin


class FilteringMixin(SparseFieldsMixin):
    """Supports `?fields=`, and reports the errors of all filter backends in one response."""

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        errors: dict[str, Any] = {}
        for backend in self.filter_backends:
            try:
                queryset = backend().filter_queryset(self.request, queryset, self)
            except ValidationError as error:
                details: Any = error.detail
                errors |= details
        if errors:
            raise ValidationError(errors)
        return queryset
