from django.urls import path
from rest_framework.routers import SimpleRouter

from catalog.description_views import DescriptionViewSet
from catalog.recommendations.views import ProductViewViewSet, RecommendationViewSet
from catalog.search_views import SmartSearchViewSet
from catalog.views import ProductViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("products", ProductViewSet, basename="product")
router.register("search", SmartSearchViewSet, basename="search")

recommendations = RecommendationViewSet.as_view(
    {"get": "recommend", "post": "recommend"}, detail=False
)

urlpatterns = [
    *router.urls,
    path(
        "products/<uuid:pk>/generate-description",
        DescriptionViewSet.as_view({"post": "generate_description"}, detail=True),
    ),
    path("products/<uuid:pk>/views", ProductViewViewSet.as_view({"post": "create"}, detail=True)),
    path("recommendations", recommendations),
]
