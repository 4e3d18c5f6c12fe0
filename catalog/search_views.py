from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from django_filters.utils import translate_validation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.filters import ProductFilter
from catalog.models import Product
from catalog.pagination import SmartSearchPagination
from catalog.public_fields import product_to_json
from catalog.search_queries import QUERY_SCHEMA, read_search_text
from catalog.serializers import SmartSearchItemSerializer, SmartSearchSerializer
from catalog.smart_search import smart_search
from common.api.validation import collect_errors
from common.api.viewsets import FilteringMixin


class SmartSearchViewSet(FilteringMixin, GenericViewSet):
    """Public products by words and meaning; anyone may search."""

    queryset = Product.objects.with_public_fields()
    serializer_class = SmartSearchItemSerializer
    authentication_classes = ()
    permission_classes = (AllowAny,)
    pagination_class = SmartSearchPagination
    filter_backends = (DjangoFilterBackend,)
    filterset_class = ProductFilter
    read_parameters: tuple[str, ...] = (*FilteringMixin.read_parameters, "q")

    def get_queryset(self) -> QuerySet:
        return self.queryset.all().public()

    @extend_schema(
        tags=["products"],
        responses=SmartSearchItemSerializer(many=True),
        parameters=[
            OpenApiParameter("q", QUERY_SCHEMA, required=True, description="The search query.")
        ],
    )
    @action(detail=False)
    def smart(self, request: Request) -> Response:
        """Products by words and meaning, best match first.

        What has all words of the query comes first. `matched_by` of an item says how it was found,
        and `score` how well it matches, from 0 to 1. A query may be in another language than the
        products.
        """
        paginator: Any = self.paginator
        text, page, products = collect_errors(
            lambda: read_search_text(request),
            lambda: paginator.parse_page_parameters(request),
            lambda: self.filter_queryset(self.get_queryset()),
        )
        return self._search(products, text, page)

    @extend_schema(
        tags=["products"],
        request=SmartSearchSerializer,
        responses=SmartSearchItemSerializer(many=True),
        filters=False,
        parameters=[OpenApiParameter(name, exclude=True) for name in ("page", "page_size")],
    )
    @smart.mapping.post
    def by_body(self, request: Request) -> Response:
        """The same search, with its parameters in the body."""
        serializer = SmartSearchSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        filters = {name: value for name, value in values.items() if value is not None}
        products = _filter(self.get_queryset(), filters)
        return self._search(products, values["q"], (values["page"], values["page_size"]))

    def _search(self, products: Any, text: str, page: tuple[int, int]) -> Response:
        paginator: Any = self.paginator
        number, size = page
        result = smart_search(products, text, offset=(number - 1) * size, limit=size)
        paginator.set_page(number, size, result.total, is_exact=result.is_exact)
        items = [
            product_to_json(product) | {"matched_by": hit.matched_by, "score": round(hit.score, 4)}
            for product, hit in result.items
        ]
        response = paginator.get_paginated_response(items)
        response.data |= {"corrected": result.corrected, "complete": result.is_complete}
        response.is_cacheable = result.is_complete
        return response


def _filter(products: QuerySet, values: dict[str, Any]) -> QuerySet:
    filters = ProductFilter(values, products)
    if filters.errors:
        raise translate_validation(filters.errors)
    return filters.qs
