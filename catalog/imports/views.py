from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.permissions import AdminOnly
from accounts.viewsets import ScopedViewSet
from catalog.file_responses import file_response
from catalog.import_models import ProductImport
from catalog.imports import failed_rows, services
from catalog.imports.filters import ProductImportFilter
from catalog.imports.serializers import (
    ImportErrorSerializer,
    ProductImportListSerializer,
    ProductImportSerializer,
)
from common.api.idempotency import idempotent
from common.api.parsers import JSONParser
from common.api.query_parameters import parse_choice
from common.api.renderers import JSONRenderer
from common.api.request_body import MAX_FORM_OVERHEAD_BYTES
from common.jobs import runner
from common.jobs.status import ACTIVE

# Up to this size a file is imported while the client waits.
MAX_BYTES_IN_ONE_CALL = 1_000_000
ERROR_FORMATS = ("json", "csv")


class ImportFormParser(MultiPartParser):
    """A parser for forms with a file to import; Django stores a large one on disk."""

    @property
    def max_body_bytes(self) -> int:
        return settings.IMPORT_MAX_BYTES + MAX_FORM_OVERHEAD_BYTES


class ProductImportViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """Imports of products from CSV and XLSX files into the company of the admin."""

    queryset = ProductImport.objects.all()
    permission_classes = (AdminOnly,)
    parser_classes = (JSONParser, FormParser, ImportFormParser)
    filterset_class = ProductImportFilter
    handlers_without_body = ("confirm", "cancel")
    ordering_fields = ("created_at", "started_at", "finished_at", "status")
    ordering = "-id"
    problem_statuses = (413,)

    def get_serializer_class(self) -> type[BaseSerializer]:
        if self.action == "errors":
            return ImportErrorSerializer
        return ProductImportListSerializer if self.action == "list" else ProductImportSerializer

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer the errors in JSON: `format` is that of the file."""
        if self.action == "errors":
            return JSONRenderer(), JSONRenderer.media_type
        return super().perform_content_negotiation(request, force)

    @extend_schema(responses={202: ProductImportSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Queue the import of a file."""
        serializer = self._validate(request)
        return self._accepted_response(serializer.save())

    @extend_schema(
        responses={200: ProductImportSerializer, 202: ProductImportSerializer},
        operation_id="products_import",
    )
    def create_and_run(self, request: Request) -> Response:
        """Import a file of up to 1 MB in one call; a larger one is queued (202)."""
        response = self._create_in_one_call(request)
        pk = response.data["id"]
        if response.data["file_bytes"] <= MAX_BYTES_IN_ONE_CALL:
            runner.run(ProductImport, pk)
        product_import = self.get_queryset().get(pk=pk)
        if product_import.status in ACTIVE:
            return self._accepted_response(product_import)
        return Response(self.get_serializer(product_import).data)

    @idempotent
    def _create_in_one_call(self, request: Request) -> Response:
        serializer = self._validate(request)
        is_small = serializer.validated_data["file"].size <= MAX_BYTES_IN_ONE_CALL
        return self._accepted_response(serializer.save(publish=not is_small))

    def _validate(self, request: Request) -> BaseSerializer:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return serializer

    def _accepted_response(self, product_import: ProductImport) -> Response:
        return Response(self.get_serializer(product_import).data, status=202)

    @extend_schema(request=None, responses={202: ProductImportSerializer})
    def confirm(self, request: Request, pk: str) -> Response:
        """Do the import of a completed dry run. 409 for any other import."""
        product_import = self.get_object()
        services.confirm_import(product_import, by=request.user)  # type: ignore[arg-type]
        return self._accepted_response(product_import)

    @extend_schema(request=None, responses=ProductImportSerializer)
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop an import after its current batch. What it has written stays, and is counted."""
        product_import = self.get_object()
        services.cancel_import(product_import, by=request.user)  # type: ignore[arg-type]
        return Response(self.get_serializer(product_import).data)

    @extend_schema(
        operation_id="products_imports_errors",
        parameters=[
            OpenApiParameter(
                "format",
                {"type": "string", "enum": list(ERROR_FORMATS), "default": ERROR_FORMATS[0]},
                description="`csv`: the failed rows as a file.",
            )
        ],
        filters=False,
        responses={
            (200, "application/json"): ImportErrorSerializer(many=True),
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR),
        },
    )
    def errors(self, request: Request, pk: str) -> Any:
        """List the first 100 errors, or with `format=csv` return all failed rows as a file.

        The file has the columns as they were sent, and the errors of each row in a last column. It
        can be corrected and imported again.
        """
        product_import = self.get_object()
        if parse_choice(request, "format", ERROR_FORMATS) == "csv":
            parts = failed_rows.read_csv(product_import)
            return file_response(parts, "text/csv; charset=utf-8", f"failed-rows-{pk}.csv")
        page: Any = self.paginate_queryset(product_import.errors)  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
