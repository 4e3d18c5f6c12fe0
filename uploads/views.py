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
from uploads.filters import (
    CycleFilter,
    FileFilter,
    ProjectFilter,
    SessionFilter,
    StatisticsFilter,
)
from uploads.models import Cycle, Project, Session, SessionFile
from uploads.permissions import CollectionPermission, RunPermission, SessionPermission
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


class RowViewSet(CompanyOwnedViewSet):
    """Rows that belong to the company of what they are made in."""

    permission_classes = (CollectionPermission,)
    ordering = "-id"

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()


class ProjectViewSet(RowViewSet):
    """Projects of the company; one that has sessions can't be deleted."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer
    filterset_class = ProjectFilter
    ordering_fields = ("name", "bucket_name", "created_at", "updated_at")

    def perform_destroy(self, instance: Project) -> None:
        services.delete_project(instance, by=person(self.request))


class CycleViewSet(RowViewSet):
    """Cycles of the company's projects; one that has sessions can't be deleted."""

    queryset = Cycle.objects.with_status()
    serializer_class = CycleSerializer
    filterset_class = CycleFilter
    ordering_fields = ("number", "name", "created_at", "updated_at")

    def perform_destroy(self, instance: Cycle) -> None:
        services.delete_cycle(instance, by=person(self.request))


@extend_schema_view(
    update=extend_schema(request=SessionReportSerializer),
    partial_update=extend_schema(request=SessionReportSerializer),
)
class SessionViewSet(RowViewSet):
    """Upload sessions of the company's projects.

    People change what a session is to do, as long as it is pending. A machine (`worker`) that
    runs one itself writes its `status` and figures here, by PUT or PATCH; figures don't fall.
    """

    queryset = Session.objects.all()
    permission_classes = (SessionPermission,)
    filterset_class = SessionFilter
    ordering_fields = ("status", "created_at", "updated_at", "started_at", "finished_at")

    def get_serializer_class(self) -> type[BaseSerializer]:
        is_machine = getattr(self.request.user, "role", "") == Role.WORKER
        return SessionReportSerializer if is_machine else SessionSerializer

    def perform_destroy(self, instance: Session) -> None:
        services.delete_session(instance, by=person(self.request))

    @extend_schema(responses=StatisticsSerializer, filters=True)
    @action(
        detail=False,
        filter_backends=(DjangoFilterBackend,),
        filterset_class=StatisticsFilter,
        pagination_class=None,
    )
    def stats(self, request: Request) -> Response:
        """Figures over all sessions, or those of one project."""
        sessions: Any = self.filter_queryset(self.get_queryset())
        return Response(StatisticsSerializer(sessions.statistics()).data)

    @extend_schema(request=None, responses={202: SessionSerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def retry(self, request: Request, pk: str) -> Response:
        """Do again what failed, in a session that ended partial, failed or cancelled."""
        session = services.retry(self.get_object(), by=person(request))
        return Response(self.get_serializer(session).data, status=202)

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """End the session; what has arrived stays."""
        session = services.cancel(self.get_object(), by=person(request))
        return Response(self.get_serializer(session).data)


class SessionFileViewSet(mixins.ListModelMixin, ScopedViewSet):
    """The files of one session, by their keys."""

    queryset = SessionFile.objects.all()
    serializer_class = SessionFileSerializer
    permission_classes = (CollectionPermission,)
    filterset_class = FileFilter
    ordering_fields = ("key", "size", "status", "updated_at")
    ordering = "key"

    def get_queryset(self) -> QuerySet:
        sessions = Session.objects.visible_to(self.request.user)
        session = get_object_or_404(sessions, pk=self.kwargs["pk"])
        return super().get_queryset().filter(session=session)


class RunViewSet(ScopedViewSet):
    """Running a session, by Bureau's workers or by a machine that uploads by itself."""

    queryset = Session.objects.all()
    serializer_class = StartSerializer
    permission_classes = (RunPermission,)
    problem_statuses = (404,)

    @extend_schema(request=StartSerializer, responses={202: StartedSerializer})
    @idempotent
    def start(self, request: Request) -> Response:
        """Queue a pending session for the workers."""
        session = services.start(self._session(self._data()), by=person(request))
        return Response(StartedSerializer(session).data, status=202)

    @extend_schema(responses=JobSerializer, operation_id="uploads_status")
    def status(self, request: Request, pk: str) -> Response:
        return Response(JobSerializer(self.get_object()).data)

    @extend_schema(request=PresignSerializer, responses=PresignedSerializer)
    @idempotent
    def presigned_url(self, request: Request) -> Response:
        """A URL to which one file of the session may be sent by PUT, without a token, once."""
        data = self._data()
        session, file_key = self._session(data), data["file_key"]
        grant = presigned.presign(session, file_key=file_key, request=request)
        return Response(PresignedSerializer(grant).data)

    def _data(self) -> dict[str, Any]:
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def _session(self, data: dict[str, Any]) -> Session:
        """The session that a body names; one that the person may not see is a 404."""
        return get_object_or_404(self.get_queryset(), pk=data["session_id"])


class DirectUploadView(PublicView):
    """Where a presigned URL leads for storage in a folder."""

    problem_statuses = (403, 411)

    @extend_schema(
        request={"application/octet-stream": bytes},
        responses=SessionFileSerializer,
        parameters=[OpenApiParameter("signature", str, required=True)],
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Send a file: once, before the URL expires, and with a `Content-Length`."""
        file = presigned.receive(
            pk,
            signature=request.query_params.get("signature", ""),
            stream=request.stream or BytesIO(),
            size=length_of(request),
        )
        return Response(SessionFileSerializer(file).data)


def length_of(request: Request) -> int:
    """The length that the client promises; without one, nobody knows whether all has come."""
    length = request.META.get("CONTENT_LENGTH", "")
    if not length.isdigit() or "HTTP_TRANSFER_ENCODING" in request.META:
        raise LengthRequired
    return int(length)


def person(request: Request) -> Any:
    """Who asks; a permission has seen to it that they have signed in."""
    return request.user
