from typing import Any
from uuid import UUID

import django_filters
from django import forms
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from accounts.models import Company
from catalog.models import Product
from common.api.filters import BooleanFilter, FilterSet, StrictOrderingFilter
from common.normalization import to_nfc

MAX_PRICE = 10**10
# No company has this id, so a filter by it matches nothing.
NO_COMPANY_ID = UUID(int=0)


class CompanyCodeField(forms.CharField):
    """Takes the code of a company and returns its id, or `NO_COMPANY_ID` for an unknown code."""

    def clean(self, value: Any) -> Any:
        code = super().clean(value)
        if not code:
            return code
        company_id = Company.objects.filter(code=code).values_list("pk", flat=True).first()
        return company_id or NO_COMPANY_ID


class CompanyCodeFilter(django_filters.CharFilter):
    """Filters by the company's id instead of its code.

    PostgreSQL's planner has statistics on how many products an id has, but not on codes, which are
    in another table.
    """

    field_class = CompanyCodeField


@extend_schema_field({"type": "number", "minimum": 0, "maximum": MAX_PRICE})
class PriceFilter(django_filters.NumberFilter):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(field_name="price", min_value=0, max_value=MAX_PRICE, **kwargs)


class InStockFilter(BooleanFilter):
    def filter(self, qs: QuerySet, value: bool) -> QuerySet:
        return qs.filter(stock__gt=0) if value else qs


class NfcField(forms.CharField):
    def clean(self, value: Any) -> Any:
        return to_nfc(super().clean(value))


class NfcFilter(django_filters.CharFilter):
    """Filters by a text in NFC, as products are stored."""

    field_class = NfcField


class ProductFilter(FilterSet):
    name = NfcFilter(lookup_expr="icontains", label="Part of the name.")
    category = NfcFilter(label="The exact category.")
    min_price = PriceFilter(lookup_expr="gte", label="The lowest price.")
    max_price = PriceFilter(lookup_expr="lte", label="The highest price.")
    in_stock_only = InStockFilter(label="Exclude sold out products.")
    company = CompanyCodeFilter(field_name="company_id", label="A company's code.")

    class Meta:
        model = Product
        fields = ()


class ProductListFilter(ProductFilter):
    search = NfcFilter(
        field_name="name", lookup_expr="icontains", label="Part of the name, as in other lists."
    )


class ProductOrdering(StrictOrderingFilter):
    """Breaks ties by id in the same direction, which is the order of the indexes."""

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: list[str], view: Any, request: Request
    ) -> list[str]:
        # The base class appends "-id", whatever the direction.
        valid = super().remove_invalid_fields(queryset, fields, view, request)[:-1]
        return [*valid, "-id" if valid[-1].startswith("-") else "id"]
