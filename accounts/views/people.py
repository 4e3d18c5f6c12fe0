"""The routes of companies, their users, and invitations."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts import services
from accounts.filters import CompanyFilter, InvitationFilter, UserFilter
from accounts.models import Company, Invitation, Role, User
from accounts.permissions import AdminOnly, AdminUserPermission, CompanyPermission, UserPermission
from accounts.serializers import (
    ColleagueSerializer,
    CompanySerializer,
    InvitationSerializer,
    ManagedUserSerializer,
    PersonSerializer,
    ProfileSerializer,
    RoleSerializer,
    UserSerializer,
)
from accounts.throttles import InvitationThrottle
from accounts.views.validation import validate
from accounts.viewsets import (
    CompanyCreateMixin,
    CompanyOwnedViewSet,
    PartialUpdateMixin,
    ScopedViewSet,
)

UPDATE_DESCRIPTION = (
    "An admin can change all fields of the company's users, and everybody their own `username` and "
    "`full_name`."
)


class CompanyViewSet(
    CompanyCreateMixin,
    PartialUpdateMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    ScopedViewSet,
):
    """The user's company; a superuser reads, creates and changes all companies."""

    queryset = Company.objects.all()
    serializer_class = CompanySerializer
    permission_classes = (CompanyPermission,)
    filterset_class = CompanyFilter
    ordering_fields = ("name", "code", "created_at")
    ordering = "-id"

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()


@extend_schema_view(
    list=extend_schema(responses=PersonSerializer(many=True)),
    retrieve=extend_schema(responses=PersonSerializer),
    update=extend_schema(description=UPDATE_DESCRIPTION),
    partial_update=extend_schema(description=UPDATE_DESCRIPTION),
)
class UserViewSet(CompanyOwnedViewSet):
    """The users of the company. Only admins see more of others than names and roles.

    All rows of a list have the same fields; one's own row has all of them by its id.
    """

    queryset = User.objects.select_related("company")
    permission_classes = (UserPermission,)
    filterset_class = UserFilter
    ordering_fields = ("username", "full_name", "role", "created_at")
    ordering = "-id"

    def get_serializer_class(self) -> type[BaseSerializer]:
        user: Any = self.request.user
        is_manager = user.is_authenticated and (user.is_superuser or user.is_admin)
        if is_manager or getattr(self, "swagger_fake_view", False):
            return ManagedUserSerializer
        return ProfileSerializer if self.kwargs.get("pk") == user.pk else ColleagueSerializer

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()

    def perform_destroy(self, instance: User) -> None:
        services.delete_user(instance, by=self.request.user)  # type: ignore[arg-type]

    @extend_schema(request=RoleSerializer, responses=UserSerializer)
    @action(detail=True, methods=["put", "patch"])
    def role(self, request: Request, pk: str) -> Response:
        """Change the user's role; it applies from their next request."""
        by: Any = request.user
        user = self.get_object()
        services.change_role(user, **validate(RoleSerializer(data=request.data)), by=by)
        return Response(UserSerializer(user).data)


class AdminUserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """The users of the company, for its admin."""

    queryset = User.objects.select_related("company")
    serializer_class = UserSerializer
    permission_classes = (AdminUserPermission,)
    handlers_without_body = ("deactivate", "activate")
    filterset_class = UserFilter
    ordering_fields = UserViewSet.ordering_fields
    ordering = "-id"

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, pk: str) -> Response:
        """Deactivate the user, whose next request is refused."""
        user = services.deactivate_user(self.get_object(), by=request.user)  # type: ignore[arg-type]
        return Response(UserSerializer(user).data)

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, pk: str) -> Response:
        """Activate a deactivated user."""
        user = services.activate_user(self.get_object(), by=request.user)  # type: ignore[arg-type]
        return Response(UserSerializer(user).data)


class InvitationViewSet(
    CompanyCreateMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    ScopedViewSet,
):
    """Invitations to join the company; a new one is mailed as a link."""

    queryset = Invitation.objects.all()
    serializer_class = InvitationSerializer
    permission_classes = (AdminOnly,)
    throttle_classes = (InvitationThrottle,)
    filterset_class = InvitationFilter
    ordering_fields = ("email", "created_at", "expires_at")
    ordering = "-id"

    def perform_create(self, serializer: BaseSerializer) -> None:
        by: Any = self.request.user
        data = {"role": Role.AGENT} | serializer.validated_data
        serializer.instance = services.create_invitation(by=by, company=by.company, **data)

    def perform_destroy(self, instance: Invitation) -> None:
        services.revoke_invitation(instance, by=self.request.user)  # type: ignore[arg-type]
