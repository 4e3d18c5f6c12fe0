from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from django_filters.utils import translate_validation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.viewsets import CompanyOwnedViewSet
from catalog import services
from catalog.filters import ProductFilter, ProductListFilter, ProductOrdering
from catalog.list_query import PUBLIC_ROWS, ListQuery
from catalog.models import Product
from catalog.pagination import CatalogPagination
from catalog.permissions import ProductPermission
from catalog.public_fields import product_to_json
from catalog.search import search
from catalog.search_queries import QUERY_SCHEMA, read_search_text
from catalog.serializers import ProductSerializer
from common.api.exceptions import PreconditionFailed
from common.api.problems import wants_html
from common.api.renderers import JSONRenderer
from common.api.validation import collect_errors
from common.caching.etags import etag_of, matches


class ProductViewSet(CompanyOwnedViewSet):
    """Products: anyone reads them all; a company's admin writes its own."""

    queryset = Product.objects.with_public_fields()
    serializer_class = ProductSerializer
    permission_classes = (ProductPermission,)
    pagination_class = CatalogPagination
    filter_backends = (DjangoFilterBackend, ProductOrdering)
    filterset_class = ProductListFilter
    ordering_fields = ("name", "price", "created_at", "stock", "category")
    ordering = ("-id",)
    supports_if_match = True

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if self._is_public_read() else super().get_authenticators()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        if self._is_public_read() and request.query_params.get("format", "json") == "json":
            return JSONRenderer(), JSONRenderer.media_type
        return super().perform_content_negotiation(request, force)

    def _is_public_read(self) -> bool:
        """Whether the answer is the same for everyone and may come from the cache.

        HTML pages differ by user; all other reads do not.
        """
        # The schema is generated without a request.
        return bool(
            self.request and self.request.method in SAFE_METHODS and not wants_html(self.request)
        )

    def get_queryset(self) -> QuerySet:
        if self.request is None or self.request.method in SAFE_METHODS:
            return self.queryset.all().public()
        return super().get_queryset()

    @extend_schema(
        responses=ProductSerializer(many=True),
        parameters=[
            OpenApiParameter(
                "q",
                QUERY_SCHEMA,
                required=True,
                description="The search query.",
            )
        ],
    )
    @action(
        detail=False,
        filter_backends=(DjangoFilterBackend,),
        filterset_class=ProductFilter,
        query_parameters=("q",),
    )
    def search(self, request: Request) -> Response:
        """Products by words in name, category, description and SKU, best match first.

        If nothing matches the query as typed, `corrected` is the corrected query that was used.
        """
        paginator: Any = self.paginator
        text, (page, size), products = collect_errors(
            lambda: read_search_text(request),
            lambda: paginator.parse_page_parameters(request),
            lambda: self.filter_queryset(self.get_queryset()),
        )
        result = search(products, text, offset=(page - 1) * size, limit=size)
        paginator.set_page(page, size, result.total, is_exact=result.is_exact)
        response = paginator.get_paginated_response(list(map(product_to_json, result.products)))
        response.data["corrected"] = result.corrected
        return response

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Products, newest first or ordered by `sort_by`."""
        paginator: Any = self.paginator
        filters, order, _ = collect_errors(
            lambda: _valid_filters(request),
            lambda: ProductOrdering().get_ordering(request, PUBLIC_ROWS, self),
            lambda: paginator.parse_page_parameters(request),
        )
        query: Any = ListQuery(filters, tuple(order))
        return self.get_paginated_response(self.paginate_queryset(query))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return with_etag(super().retrieve(request, *args, **kwargs))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return with_etag(super().create(request, *args, **kwargs))

    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return with_etag(super().update(request, *args, **kwargs))

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)

    def get_object(self) -> Product:
        """Return the product; for a write, lock it and check `If-Match`."""
        product = super().get_object()
        if self.request.method in SAFE_METHODS:
            return product
        # Read it again under the lock: another request may have deleted it.
        locked = self.get_queryset().select_for_update(of=("self",))
        product = get_object_or_404(locked, pk=product.pk)
        expected = self.request.headers.get("If-Match")
        if expected and not matches(expected, etag_of(render(product))):
            raise PreconditionFailed
        return product

    def perform_destroy(self, instance: Product) -> None:
        services.delete_product(instance, by=self.request.user)  # type: ignore[arg-type]


def render(product: Product) -> bytes:
    """Return the body of `GET /products/{id}`, from which its `ETag` is computed."""
    return JSONRenderer().render(product_to_json(product))


def with_etag(response: Response) -> Response:
    """Set the `ETag` of a product's representation."""
    response["ETag"] = etag_of(JSONRenderer().render(response.data))
    return response


def _valid_filters(request: Request) -> ProductListFilter:
    filters = ProductListFilter(request.query_params, PUBLIC_ROWS, request=request)
    if filters.errors:
        raise translate_validation(filters.errors)
    return filters
