from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.api import CompanyViewSet
from notes.filters import NoteFilter
from notes.models import Note
from notes.permissions import NotePermission
from notes.serializers import NoteSerializer


class NoteViewSet(CompanyViewSet):
    """Notes: an agent's own, the company's for its admin."""

    queryset = Note.objects.with_job()
    serializer_class = NoteSerializer
    permission_classes = (NotePermission,)
    filterset_class = NoteFilter
    ordering_fields = ("created_at", "updated_at", "title")
    ordering = "-id"

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()

    @extend_schema(request=None, responses={202: NoteSerializer})
    @action(detail=True, methods=["post"])
    def summarize(self, request: Request, pk: str) -> Response:
        """Make the summary again; the old one stays until the new one is there."""
        note = self.get_object()
        note.job.requeue()
        return Response(self.get_serializer(note).data, status=202)
