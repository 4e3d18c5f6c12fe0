"""The routes of companies, the people in them, and invitations."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts import services
from accounts.filters import UserFilter
from accounts.models import Company, Invitation, User
from accounts.permissions import AdminOfPeople, AdminOnly, CompanyPermission, PeoplePermission
from accounts.serializers import (
    ColleagueSerializer,
    CompanySerializer,
    InvitationSerializer,
    ManagedUserSerializer,
    PersonSerializer,
    RoleSerializer,
    UserSerializer,
)
from accounts.viewsets import CompanyViewSet, CreateMixin, ScopedViewSet, UpdateMixin


class CompaniesViewSet(
    CreateMixin,
    UpdateMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    ScopedViewSet,
):
    """The person's company; all of them for a superuser, who may also create one."""

    queryset = Company.objects.all()
    serializer_class = CompanySerializer
    permission_classes = (CompanyPermission,)
    ordering_fields = ("name", "code", "created_at")
    ordering = "-id"

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()


@extend_schema_view(
    list=extend_schema(responses=PersonSerializer(many=True)),
    retrieve=extend_schema(responses=PersonSerializer),
)
class UserViewSet(CompanyViewSet):
    """The people of the company. Who is no admin sees names and roles only."""

    queryset = User.objects.select_related("company")
    permission_classes = (PeoplePermission,)
    filterset_class = UserFilter
    ordering_fields = ("username", "full_name", "role", "created_at")
    ordering = "-id"

    def get_serializer_class(self) -> type[BaseSerializer]:
        user: Any = self.request.user
        manages = user.is_authenticated and (user.is_superuser or user.is_admin)
        fake = getattr(self, "swagger_fake_view", False)
        return ManagedUserSerializer if manages or fake else ColleagueSerializer

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()

    def perform_destroy(self, instance: User) -> None:
        services.delete_user(instance, by=self.request.user)  # type: ignore[arg-type]

    @extend_schema(request=RoleSerializer, responses=UserSerializer)
    @action(detail=True, methods=["put", "patch"])
    def role(self, request: Request, pk: str) -> Response:
        """Give the person another role, from their next request on."""
        user = self.get_object()
        serializer = RoleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        services.set_role(user, serializer.validated_data["role"], by=request.user)  # type: ignore[arg-type]
        return Response(UserSerializer(user).data)


class AdminUserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """The people of the company for its admin."""

    queryset = User.objects.select_related("company")
    serializer_class = UserSerializer
    permission_classes = (AdminOfPeople,)
    filterset_class = UserFilter
    ordering_fields = UserViewSet.ordering_fields
    ordering = "-id"

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, pk: str) -> Response:
        """Close the account: it is refused from its next request on."""
        user = services.deactivate(self.get_object(), by=request.user)  # type: ignore[arg-type]
        return Response(UserSerializer(user).data)

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, pk: str) -> Response:
        """Open a closed account again."""
        user = services.activate(self.get_object(), by=request.user)  # type: ignore[arg-type]
        return Response(UserSerializer(user).data)


class InvitationViewSet(
    CreateMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    ScopedViewSet,
):
    """Invitations to join the company; creating one mails its link."""

    queryset = Invitation.objects.all()
    serializer_class = InvitationSerializer
    permission_classes = (AdminOnly,)
    ordering_fields = ("email", "created_at", "expires_at")
    ordering = "-id"

    def perform_create(self, serializer: BaseSerializer) -> None:
        by: Any = self.request.user
        data = {"role": "agent"} | serializer.validated_data
        serializer.instance = services.invite(by=by, company=by.company, **data)

    def perform_destroy(self, instance: Invitation) -> None:
        services.revoke(instance, by=self.request.user)  # type: ignore[arg-type]
