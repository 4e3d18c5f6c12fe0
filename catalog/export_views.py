from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from accounts.permissions import AdminOnly
from accounts.viewsets import ScopedViewSet
from catalog.export import FORMATS, ExportFormat
from catalog.file_responses import file_response
from catalog.filters import ProductListFilter, ProductOrdering
from catalog.models import Product
from catalog.serializers import ProductSerializer
from common.api.query_parameters import parse_choice
from common.api.renderers import JSONRenderer
from common.api.validation import collect_errors


class ProductExportViewSet(ScopedViewSet):
    """The company's own products as a file."""

    queryset = Product.objects.all()
    serializer_class = ProductSerializer
    permission_classes = (AdminOnly,)
    pagination_class = None
    filter_backends = (DjangoFilterBackend, ProductOrdering)
    filterset_class = ProductListFilter
    ordering_fields = ("name", "price", "created_at", "stock", "category")
    ordering = ("-id",)
    read_parameters = ()  # type: ignore[assignment]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer errors in JSON: `format` is that of the file."""
        return JSONRenderer(), JSONRenderer.media_type

    def get_queryset(self) -> QuerySet:
        """Return the company's own products; a superuser can name another `company`."""
        products = super().get_queryset()
        user: Any = self.request.user
        if user.is_superuser and self.request.query_params.get("company"):
            return products
        return products.filter(company_id=user.company_id)

    @extend_schema(
        operation_id="products_export",
        filters=True,
        parameters=[
            OpenApiParameter(
                "format",
                {"type": "string", "enum": list(FORMATS), "default": "csv"},
                description="`csv` and `xlsx` have the columns that an import takes, `ndjson` has "
                "a product in JSON on each line.",
            )
        ],
        responses={
            (200, file_format.content_type.partition(";")[0]): OpenApiTypes.BINARY
            for file_format in FORMATS.values()
        },
    )
    def export(self, request: Request) -> StreamingHttpResponse:
        """Return all products that match the filters, as a file.

        In CSV and XLSX an apostrophe comes before a text that a spreadsheet would run as a formula;
        an import removes it.
        """
        name, products = collect_errors(
            lambda: parse_choice(request, "format", tuple(FORMATS)),
            lambda: self.filter_queryset(self.get_queryset()),
        )
        file_format = FORMATS[name]
        _check_row_count(products, file_format)
        parts = file_format.export(products) if request.method == "GET" else ()
        return file_response(parts, file_format.content_type, f"products.{name}")


def _check_row_count(products: QuerySet, file_format: ExportFormat) -> None:
    limit = file_format.max_rows
    if limit and products.order_by()[: limit + 1].count() > limit:
        message = f"More than {limit:,} products match. Export them as csv, or use filters."
        raise ValidationError({"format": [ErrorDetail(message, "too_many_rows")]})
