from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.parsers import FormParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.throttling import BaseThrottle

from accounts.viewsets import CompanyOwnedViewSet, ScopedViewSet
from common.api.exceptions import Conflict
from common.api.idempotency import idempotent
from common.api.parsers import JSONParser
from common.api.renderers import check_response_size
from common.api.request_body import DEFAULT_MAX_BODY_BYTES
from notes import services, summary_templates, usage
from notes.filters import BatchFilter, NoteFilter, SummaryFilter, TemplateFilter
from notes.models import MAX_NOTE_CHARS, Batch, Note, Summary, SummaryTemplate
from notes.pagination import UsagePagination
from notes.parsers import DocumentParser
from notes.permissions import NotePermission, TemplatePermission
from notes.serializers import (
    BatchDetailSerializer,
    BatchSerializer,
    NoteListSerializer,
    NoteSerializer,
    SummarySerializer,
    TemplateSerializer,
)
from notes.throttles import SummaryThrottle
from notes.usage_serializers import (
    UsageQuerySerializer,
    UsageSerializer,
    UsageTotalsSerializer,
)

# A character can be written as two `\uXXXX`; a note also has a title.
MAX_NOTE_BODY_BYTES = 12 * MAX_NOTE_CHARS + DEFAULT_MAX_BODY_BYTES


class NoteViewSet(CompanyOwnedViewSet):
    """Notes. Agents see their own, admins see their company's."""

    queryset = Note.objects.with_own_summary()
    permission_classes = (NotePermission,)
    filterset_class = NoteFilter
    max_body_bytes = MAX_NOTE_BODY_BYTES
    handlers_without_body = ("summarize",)
    ordering_fields = ("created_at", "updated_at", "title")
    ordering = "-id"

    def get_serializer_class(self) -> type[BaseSerializer]:
        return NoteListSerializer if self.action == "list" else NoteSerializer

    def paginate_queryset(self, queryset: Any) -> list[Note]:
        """Return the page's notes; their texts are loaded only if `fields` names `raw_text`."""
        ids: Any = super().paginate_queryset(queryset.values_list("pk", flat=True))
        notes = Note.objects.filter(pk__in=ids)
        if "raw_text" in (self.requested_fields or ()):
            check_response_size(notes.text_bytes())
        else:
            notes = notes.without_text()
        rows = notes.with_own_summary().in_bulk()
        return [rows[pk] for pk in ids if pk in rows]

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()

    def perform_destroy(self, instance: Note) -> None:
        services.delete_note(instance, by=self.request.user)  # type: ignore[arg-type]

    @extend_schema(request=None, responses={202: NoteSerializer})
    @action(detail=True, methods=["post"])
    def summarize(self, request: Request, pk: str) -> Response:
        """Queue the summary again. The old summary stays until the new one is stored."""
        note = self.get_object()
        services.requeue_summary(note.own_summary, by=request.user)  # type: ignore[arg-type]
        return Response(self.get_serializer(self.get_object()).data, status=202)


class SummaryRequestMixin:
    """Mixin of views that queue summaries: POSTs have a rate limit and respond with 202."""

    throttled_actions = ("create", "retry")
    # Texts may be as large as any body.
    max_body_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    def get_throttles(self) -> list[BaseThrottle]:
        if self.action in self.throttled_actions:  # type: ignore[attr-defined]
            return [SummaryThrottle()]
        return super().get_throttles()  # type: ignore[misc]

    @idempotent
    def create(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return self.accepted_response(serializer.save())


class SummaryViewSet(
    SummaryRequestMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    ScopedViewSet,
):
    """Summaries, including those of notes and batches.

    Agents see their own, admins see their company's.
    """

    queryset = Summary.objects.all()
    serializer_class = SummarySerializer
    permission_classes = (NotePermission,)
    parser_classes = (JSONParser, FormParser, DocumentParser)
    filterset_class = SummaryFilter
    ordering_fields = ("created_at", "updated_at", "finished_at", "cost_usd", "text_length")
    ordering = "-id"

    def accepted_response(self, summary: Summary) -> Response:
        return Response(self.get_serializer(summary).data, status=202)

    @extend_schema(responses={202: SummarySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Queue the summary of a text, of a note's current text, or of a file."""
        return super().create(request, *args, **kwargs)

    def perform_destroy(self, instance: Summary) -> None:
        services.delete_summary(instance, by=self.request.user)  # type: ignore[arg-type]

    @extend_schema(
        parameters=[UsageQuerySerializer], responses=UsageSerializer(many=True), filters=False
    )
    @action(
        detail=False,
        filter_backends=(),
        pagination_class=UsagePagination,
        serializer_class=UsageSerializer,
        query_parameters=tuple(UsageQuerySerializer().fields),
    )
    def usage(self, request: Request) -> Response:
        """List summaries and the cost of all AI calls per day and model, newest first.

        `totals` are the sums over all requested days, not only over the page.
        """
        query = UsageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        rows = usage.list_usage(request.user, **query.validated_data)  # type: ignore[arg-type]
        page = self.get_serializer(self.paginate_queryset(rows), many=True)  # type: ignore[arg-type]
        response = self.get_paginated_response(page.data)
        response.data["totals"] = UsageTotalsSerializer(usage.compute_totals(rows)).data
        return response


class BatchViewSet(
    SummaryRequestMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet
):
    """Batches of up to 100 texts. Agents see their own, admins see their company's."""

    queryset = Batch.objects.all()
    serializer_class = BatchSerializer
    permission_classes = (NotePermission,)
    filterset_class = BatchFilter
    handlers_without_body = ("retry", "cancel")
    ordering_fields = ("created_at",)
    ordering = "-id"

    def get_queryset(self) -> QuerySet:
        batches: Any = super().get_queryset()
        return batches.with_counts() if self.action == "list" else batches.with_items()

    def get_serializer_class(self) -> type[BaseSerializer]:
        return BatchSerializer if self.action in ("list", "create") else BatchDetailSerializer

    def accepted_response(self, batch: Batch) -> Response:
        batch = self.get_queryset().get(pk=batch.pk)
        context = self.get_serializer_context()
        return Response(BatchDetailSerializer(batch, context=context).data, status=202)

    @extend_schema(responses={202: BatchDetailSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Queue the summaries of up to 100 texts."""
        return super().create(request, *args, **kwargs)

    @extend_schema(request=None, responses={202: BatchDetailSerializer})
    def retry(self, request: Request, pk: str) -> Response:
        """Queue the failed summaries again. 409 if none has failed."""
        batch = self.get_object()
        services.retry_batch(batch, by=request.user)  # type: ignore[arg-type]
        return self.accepted_response(batch)

    @extend_schema(request=None, responses={202: BatchDetailSerializer})
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the summaries that have not ended. 409 if all have ended."""
        batch = self.get_object()
        services.cancel_batch(batch, by=request.user)  # type: ignore[arg-type]
        return self.accepted_response(batch)


class TemplateViewSet(CompanyOwnedViewSet):
    """The built-in templates and the company's own, which its admins write."""

    queryset = SummaryTemplate.objects.all()
    serializer_class = TemplateSerializer
    permission_classes = (TemplatePermission,)
    filterset_class = TemplateFilter
    lookup_value_converter = "str"
    ordering_fields = ("created_at", "updated_at", "name")
    ordering = "name"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the built-in templates, then the company's own."""
        own = self.filter_queryset(self.get_queryset())
        rows = [*self._built_in_templates(), *own]
        page: Any = self.paginate_queryset(rows)  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()

    def perform_destroy(self, instance: SummaryTemplate) -> None:
        services.delete_template(instance, by=self.request.user)  # type: ignore[arg-type]

    def _built_in_templates(self) -> Iterable[SummaryTemplate]:
        """Return the built-in templates that match the filters; they have no `created_at`."""
        query = self.request.query_params
        if query.get("created_after") or query.get("created_before"):
            return []
        return summary_templates.find_built_in_templates(query.get("search", ""))

    def get_object(self) -> SummaryTemplate:
        built_in = summary_templates.get_built_in_templates().get(self.kwargs["pk"])
        if built_in is None:
            return super().get_object()
        self.check_object_permissions(self.request, built_in)
        if self.request.method not in SAFE_METHODS:
            raise Conflict("A built-in template can't be changed or deleted.", code="built_in")
        return built_in
