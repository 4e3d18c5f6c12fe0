from io import BytesIO
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.models import Role
from accounts.viewsets import CompanyOwnedViewSet, PublicView, ScopedViewSet
from common.api.exceptions import LengthRequired
from common.api.idempotency import idempotent
from uploads import presigned, services
from uploads.completion import complete_session
from uploads.filters import (
    CycleFilter,
    FileFilter,
    ProjectFilter,
    SessionFilter,
    StatisticsFilter,
)
from uploads.models import Cycle, Project, Session, SessionFile
from uploads.permissions import CollectionPermission, SessionPermission, UploadPermission
from uploads.serializers import (
    CycleSerializer,
    JobSerializer,
    PresignedSerializer,
    PresignSerializer,
    ProjectSerializer,
    SessionFileSerializer,
    SessionReportSerializer,
    SessionSerializer,
    StartedSerializer,
    StartSerializer,
    StatisticsSerializer,
)


class CompanyRowViewSet(CompanyOwnedViewSet):
    """The base for projects, cycles and sessions."""

    permission_classes = (CollectionPermission,)
    ordering = "-id"

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()


class ProjectViewSet(CompanyRowViewSet):
    """Projects of the company; a project with sessions cannot be deleted."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer
    filterset_class = ProjectFilter
    ordering_fields = ("name", "bucket_name", "created_at", "updated_at")

    def perform_destroy(self, instance: Project) -> None:
        services.delete_project(instance, by=current_user(self.request))


class CycleViewSet(CompanyRowViewSet):
    """Cycles of the company's projects; a cycle with sessions cannot be deleted."""

    queryset = Cycle.objects.with_status()
    serializer_class = CycleSerializer
    filterset_class = CycleFilter
    ordering_fields = ("number", "name", "created_at", "updated_at")

    def perform_destroy(self, instance: Cycle) -> None:
        services.delete_cycle(instance, by=current_user(self.request))


@extend_schema_view(
    update=extend_schema(request=SessionReportSerializer),
    partial_update=extend_schema(request=SessionReportSerializer),
)
class SessionViewSet(CompanyRowViewSet):
    """Upload sessions of the company's projects.

    Admins and agents configure a session while it is pending. A client with the role `worker` can
    run a session itself and report its `status` and counters by PUT or PATCH. Counters cannot
    decrease. Every role can send the files of a session to presigned URLs and then complete it.
    """

    queryset = Session.objects.all()
    permission_classes = (SessionPermission,)
    filterset_class = SessionFilter
    handlers_without_body = ("complete", "retry", "cancel")
    ordering_fields = ("status", "created_at", "updated_at", "started_at", "finished_at")

    def get_serializer_class(self) -> type[BaseSerializer]:
        if self.action == "stats":
            return StatisticsSerializer
        is_worker = getattr(self.request.user, "role", "") == Role.WORKER
        return SessionReportSerializer if is_worker else SessionSerializer

    def perform_destroy(self, instance: Session) -> None:
        services.delete_session(instance, by=current_user(self.request))

    @extend_schema(responses=StatisticsSerializer, filters=True)
    @action(
        detail=False,
        filter_backends=(DjangoFilterBackend,),
        filterset_class=StatisticsFilter,
        pagination_class=None,
    )
    def stats(self, request: Request) -> Response:
        """Return sums over all sessions, or over those of one project."""
        sessions: Any = self.filter_queryset(self.get_queryset())
        return Response(StatisticsSerializer(sessions.statistics()).data)

    @extend_schema(request=None, responses={202: SessionSerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def retry(self, request: Request, pk: str) -> Response:
        """Queue a partial, failed or cancelled session again; uploads the remaining files.

        A session whose files clients send becomes pending again: ask for URLs of those that failed.
        """
        session = services.retry_session(self.get_object(), by=current_user(request))
        return Response(self.get_serializer(session).data, status=202)

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def complete(self, request: Request, pk: str) -> Response:
        """End a session whose files clients have sent to presigned URLs.

        Its counters are what the store has. Files that have not arrived are `failed`, and the
        session is then `partial`. Completing a completed session changes nothing.
        """
        session = complete_session(self.get_object(), by=current_user(request))
        return Response(self.get_serializer(session).data)

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the session and keep the uploaded files."""
        session = services.cancel_session(self.get_object(), by=current_user(request))
        return Response(self.get_serializer(session).data)


class SessionFileViewSet(mixins.ListModelMixin, ScopedViewSet):
    """The files of one session, ordered by key."""

    queryset = SessionFile.objects.all()
    serializer_class = SessionFileSerializer
    permission_classes = (CollectionPermission,)
    filterset_class = FileFilter
    ordering_fields = ("key", "size", "status", "created_at", "updated_at")
    ordering = "key"

    def get_queryset(self) -> QuerySet:
        sessions = Session.objects.visible_to(self.request.user)
        session = get_object_or_404(sessions, pk=self.kwargs["pk"])
        return super().get_queryset().filter(session=session)


class UploadViewSet(ScopedViewSet):
    """Starting sessions, their progress, and presigned URLs for clients."""

    queryset = Session.objects.all()
    serializer_class = StartSerializer
    permission_classes = (UploadPermission,)
    problem_statuses = (404,)

    @extend_schema(request=StartSerializer, responses={202: StartedSerializer})
    @idempotent
    def start(self, request: Request) -> Response:
        """Queue a pending session for the workers."""
        session = services.start_session(self._session(self._data()), by=current_user(request))
        return Response(StartedSerializer(session).data, status=202)

    @extend_schema(responses=JobSerializer, operation_id="uploads_status")
    def status(self, request: Request, pk: str) -> Response:
        return Response(JobSerializer(self.get_object()).data)

    @extend_schema(request=PresignSerializer, responses=PresignedSerializer)
    @idempotent
    def presigned_url(self, request: Request) -> Response:
        """Create a URL that accepts one file of the session, once and without a token."""
        data = self._data()
        url = presigned.presign(
            self._session(data),
            by=current_user(request),
            file_key=data["file_key"],
            build_absolute_uri=request.build_absolute_uri,
        )
        return Response(PresignedSerializer(url).data)

    def _data(self) -> dict[str, Any]:
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def _session(self, data: dict[str, Any]) -> Session:
        """Return the session named in the body; 404 if it is not visible to the user."""
        return get_object_or_404(self.get_queryset(), pk=data["session_id"])


class PresignedUploadView(PublicView):
    """The target of presigned URLs with storage in a folder."""

    problem_statuses = (403, 411)
    query_parameters = ("signature",)

    @extend_schema(
        operation_id="uploads_send_file",
        request={"application/octet-stream": bytes},
        responses=SessionFileSerializer,
        parameters=[
            OpenApiParameter(
                "signature", str, required=True, description="The signature in the presigned URL."
            )
        ],
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Send a file once, before the URL expires, with a `Content-Length`."""
        file = presigned.receive(
            pk,
            signature=request.query_params.get("signature", ""),
            stream=request.stream or BytesIO(),
            size=content_length(request),
            headers=request.headers,
        )
        return Response(SessionFileSerializer(file).data)


def content_length(request: Request) -> int:
    """Return the `Content-Length`; without it, a truncated body could not be detected."""
    length = request.META.get("CONTENT_LENGTH", "")
    if not length.isdigit() or "HTTP_TRANSFER_ENCODING" in request.META:
        raise LengthRequired
    return int(length)


def current_user(request: Request) -> Any:
    """Return the signed-in user; the permission classes have rejected anonymous ones."""
    return request.user
