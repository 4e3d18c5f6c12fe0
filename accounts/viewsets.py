"""Base classes of the apps' APIs: viewsets over a company's rows, and relations to such rows."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins
from rest_framework.permissions import AllowAny
from rest_framework.relations import PrimaryKeyRelatedField
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from common.api.idempotency import idempotent
from common.api.views import APIView
from common.api.viewsets import FilteringMixin


class CompanyRelatedField(PrimaryKeyRelatedField):
    """A relation by id to a row that is visible to the user.

    The id of another company's row gets the same error as an unknown id.
    """

    default_error_messages = {
        "does_not_exist": "Nothing with the id {pk_value} is visible to you.",
        "incorrect_type": "Send the id as a string.",
    }

    def get_queryset(self) -> QuerySet:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.context["request"].user)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("incorrect_type")
        return super().to_internal_value(data)


class ScopedViewSet(FilteringMixin, GenericViewSet):
    """Base of viewsets over rows with a `visible_to(user)` queryset."""

    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.request.user)


class CompanyCreateMixin(mixins.CreateModelMixin):
    """POST creates a row of the user's company; it accepts an `Idempotency-Key`."""

    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().create(request, *args, **kwargs)

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save(company=self.request.user.company)  # type: ignore[attr-defined]


class PartialUpdateMixin(mixins.UpdateModelMixin):
    """PUT and PATCH, which both accept a partial body."""

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().update(request, *args, **{**kwargs, "partial": True})


class CompanyOwnedViewSet(
    CompanyCreateMixin,
    PartialUpdateMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    ScopedViewSet,
):
    """List, create, read, update and delete the rows of the user's company."""


class PublicView(APIView):
    """A route without authentication; a token that is sent is ignored."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="bureau"'
