from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from django_filters.utils import translate_validation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.viewsets import CompanyOwnedViewSet
from catalog.filters import ProductFilter, ProductOrdering
from catalog.list_query import LISTED, Listing
from catalog.models import Product
from catalog.pagination import CatalogPagination
from catalog.permissions import ProductPermission
from catalog.search import search
from catalog.serializers import ProductSerializer, represent
from common.api.exceptions import PreconditionFailed
from common.api.problems import wants_html
from common.api.validation import collect_errors
from common.caching.etags import etag_of, matches


class ProductViewSet(CompanyOwnedViewSet):
    """Products: everybody reads them all, a company's admin writes its own."""

    queryset = Product.objects.shown()
    serializer_class = ProductSerializer
    permission_classes = (ProductPermission,)
    pagination_class = CatalogPagination
    filter_backends = (DjangoFilterBackend, ProductOrdering)
    filterset_class = ProductFilter
    ordering_fields = ("name", "price", "created_at", "stock", "category")
    ordering = ("-id",)
    supports_if_match = True

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if self._answers_anybody() else super().get_authenticators()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        if self._answers_anybody():
            return JSONRenderer(), JSONRenderer.media_type
        return super().perform_content_negotiation(request, force)

    def _answers_anybody(self) -> bool:
        """Whether the answer is one for all, whoever asks and whatever they accept besides HTML:
        it may come from the cache."""
        # The schema is made without a request.
        return bool(
            self.request and self.request.method in SAFE_METHODS and not wants_html(self.request)
        )

    def get_queryset(self) -> QuerySet:
        if self.request is None or self.request.method in SAFE_METHODS:
            return self.queryset.all().public()
        return super().get_queryset()

    @extend_schema(
        responses=ProductSerializer(many=True),
        parameters=[OpenApiParameter("q", str, required=True, description="What to look for.")],
    )
    @action(detail=False, filter_backends=(DjangoFilterBackend,))
    def search(self, request: Request) -> Response:
        """Products by words in name, category, description and SKU, best first.

        `corrected` is what was looked for instead, where nothing fits the words as they are.
        """
        paginator: Any = self.paginator
        text, (page, size), products = collect_errors(
            lambda: self._search_text(request),
            lambda: paginator.parse_page_parameters(request),
            lambda: self.filter_queryset(self.get_queryset()),
        )
        found = search(products, text, offset=(page - 1) * size, limit=size)
        paginator.show(page, size, found.total, exact=found.exact)
        response = paginator.get_paginated_response([represent(p) for p in found.products])
        response.data["corrected"] = found.corrected
        return response

    def _search_text(self, request: Request) -> str:
        text = request.query_params.get("q", "")
        if not text.strip():
            raise ValidationError({"q": [ErrorDetail("Say what to look for.", "required")]})
        if "\0" in text:
            raise ValidationError({"q": ["Null characters are not allowed."]})
        return text

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Products, newest first or as `sort_by` says."""
        paginator: Any = self.paginator
        filters, order, _ = collect_errors(
            lambda: self._filters(request),
            lambda: ProductOrdering().get_ordering(request, LISTED, self),
            lambda: paginator.parse_page_parameters(request),
        )
        listing: Any = Listing(filters, tuple(order))
        return self.get_paginated_response(self.paginate_queryset(listing))

    def _filters(self, request: Request) -> ProductFilter:
        filters = ProductFilter(request.query_params, LISTED, request=request)
        if filters.errors:
            raise translate_validation(filters.errors)
        return filters

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
        """The product; for a write locked, and only if `If-Match` still names what it is."""
        product = super().get_object()
        if self.request.method in SAFE_METHODS:
            return product
        # Found again under the lock: somebody may have deleted it in between.
        locked = self.get_queryset().select_for_update(of=("self",))
        product = get_object_or_404(locked, pk=product.pk)
        expected = self.request.headers.get("If-Match")
        if expected and not matches(expected, etag_of(rendered(product))):
            raise PreconditionFailed
        return product

    def perform_destroy(self, instance: Product) -> None:
        Product.objects.filter(pk=instance.pk).soft_delete()


def rendered(product: Product) -> bytes:
    """The bytes of `GET /products/{id}`, of which its `ETag` is made."""
    return JSONRenderer().render(represent(product))


def with_etag(response: Response) -> Response:
    response["ETag"] = etag_of(JSONRenderer().render(response.data))
    return response
