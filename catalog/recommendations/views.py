from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.models import User
from accounts.viewsets import ScopedViewSet
from catalog.models import Product
from catalog.recommendations.pagination import RecommendationPagination
from catalog.recommendations.permissions import RecommendationPermission
from catalog.recommendations.selection import recommend_products
from catalog.recommendations.serializers import (
    RecommendationQuerySerializer,
    RecommendationSerializer,
)
from catalog.recommendations.view_recording import record_view

PARAMETERS = tuple(RecommendationQuerySerializer().fields)
# Products like one product are for everyone.
AUTH: Any = [{"accessToken": []}, {"passwordLogin": []}, {"cookieAuth": []}, {}]


class PublicProductsMixin:
    """Finds the live products of all active companies."""

    def get_queryset(self) -> QuerySet:
        return Product.objects.public()


class ProductViewViewSet(PublicProductsMixin, ScopedViewSet):
    """Views of products."""

    queryset = Product.objects.all()
    serializer_class = Serializer  # a view has no fields
    handlers_without_body = ("create",)

    @extend_schema(request=None, responses={204: None})
    def create(self, request: Request, pk: str) -> Response:
        """Record that you view a product. Only the first view of a day counts.

        Views are kept for 90 days and used for recommendations.
        """
        record_view(self.get_object(), by=request.user)  # type: ignore[arg-type]
        return Response(status=204)


class RecommendationViewSet(PublicProductsMixin, ScopedViewSet):
    """Recommended products."""

    queryset = Product.objects.all()
    serializer_class = RecommendationSerializer
    permission_classes = (RecommendationPermission,)
    pagination_class = RecommendationPagination
    filter_backends = ()
    problem_statuses = (401, 404)
    read_parameters = (*ScopedViewSet.read_parameters, *PARAMETERS)

    @property
    def sent_parameters(self) -> Any:
        """What the client asks for: a POST says it in its body."""
        if self.request.method == "POST":
            return self.request.data
        query = self.request.query_params.copy()
        for name in list(query):
            # An empty parameter counts as left out, as forms send it.
            if name not in PARAMETERS or not query[name]:
                del query[name]
        return query

    @extend_schema(
        operation_id="recommendations_list",
        methods=["GET"],
        auth=AUTH,
        parameters=[RecommendationQuerySerializer],
        responses=RecommendationSerializer(many=True),
    )
    @extend_schema(
        operation_id="recommendations_list_by_body",
        methods=["POST"],
        auth=AUTH,
        request=RecommendationQuerySerializer,
        responses=RecommendationSerializer(many=True),
    )
    def recommend(self, request: Request) -> Response:
        """Recommend products. Each has a `reason`.

        With `product_id`, for everyone: products like that one. Without it: products for you, from
        what you and others viewed. Products that you viewed in the last 90 days and products that
        are sold out are left out.
        """
        query = RecommendationQuerySerializer(data=self.sent_parameters)
        query.is_valid(raise_exception=True)
        limit, product_id = query.validated_data["limit"], query.validated_data.get("product_id")
        product = get_object_or_404(self.get_queryset(), pk=product_id) if product_id else None
        user = request.user
        person = user if isinstance(user, User) else None
        paginator: Any = self.paginator
        items = recommend_products(person, product=product, limit=limit)
        return paginator.get_response(items, limit=limit)
