from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError

from common.api.query_parameters import is_list_request
from common.api.sparse_fields import SparseFieldsMixin


class FilteringMixin(SparseFieldsMixin):
    """Filters lists alone, supports `?fields=`, and reports the errors of all filters together."""

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        if not is_list_request(self, str(self.request.method)):
            return queryset
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
