from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import AdminOnly
from accounts.viewsets import ScopedViewSet
from catalog.file_responses import file_response
from common.api.query_parameters import parse_choice
from common.api.renderers import JSONRenderer
from common.api.validation import collect_errors
from common.events.models import Event
from integrations.audit.export import BATCH_SIZE, FORMATS, export_entries
from integrations.audit.filters import AuditFilter, AuditOrdering
from integrations.audit.readings import find_reading, record_reading
from integrations.audit.serializers import AuditEntrySerializer


class AuditViewSet(mixins.ListModelMixin, ScopedViewSet):
    """Everything that was done in the company, and what was denied; newest first.

    Reading it is recorded, too, as `audit.read`. Further pages of a reading show the entries before
    that.
    """

    queryset = Event.objects.all()
    serializer_class = AuditEntrySerializer
    permission_classes = (AdminOnly,)
    filter_backends = (DjangoFilterBackend, AuditOrdering)
    filterset_class = AuditFilter
    ordering_fields = ("occurred_at",)
    ordering = ("-occurred_at",)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.reading = find_reading(request)
        response = super().list(request, *args, **kwargs)
        if not self.reading:
            record_reading(request)
        return response

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        events: Any = super().filter_queryset(queryset)
        return events.before(self.reading) if self.reading else events


class AuditExportViewSet(ScopedViewSet):
    """The audit log as a file."""

    queryset = Event.objects.all()
    serializer_class = AuditEntrySerializer
    permission_classes = (AdminOnly,)
    pagination_class = None
    filter_backends = (DjangoFilterBackend,)
    filterset_class = AuditFilter
    read_parameters = ()  # type: ignore[assignment]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer errors in JSON: `format` is that of the file."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="audit_export",
        filters=True,
        parameters=[
            OpenApiParameter(
                "format",
                {"type": "string", "enum": list(FORMATS), "default": "ndjson"},
                description="`ndjson` has an entry in JSON on each line.",
            )
        ],
        responses={
            (200, file_format.content_type.partition(";")[0]): OpenApiTypes.BINARY
            for file_format in FORMATS.values()
        },
    )
    def export(self, request: Request) -> StreamingHttpResponse:
        """Return all entries that match the filters, as a file; newest first.

        They have no `data`. In CSV an apostrophe comes before a text that a spreadsheet would run
        as a formula. The export is recorded as `audit.exported`.
        """
        name, events = collect_errors(
            lambda: parse_choice(request, "format", tuple(FORMATS)),
            lambda: self.filter_queryset(self.get_queryset()),
        )
        events = events.order_by("-xid", "-sequence")
        first = list(events[:BATCH_SIZE])
        record_reading(request, action="audit.exported")
        user: Any = request.user
        parts = export_entries(first, events, user=user, file_format=FORMATS[name])
        content = parts if request.method == "GET" else ()
        return file_response(content, FORMATS[name].content_type, f"audit.{name}")
