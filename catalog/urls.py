from django.urls import path
from rest_framework.routers import SimpleRouter

from catalog.recommendations.views import ProductViewViewSet, RecommendationViewSet
from catalog.views import ProductViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("products", ProductViewSet, basename="product")
router.register("recommendations", RecommendationViewSet, basename="recommendation")

urlpatterns = [
    *router.urls,
    path("products/<uuid:pk>/views", ProductViewViewSet.as_view({"post": "create"}, detail=True)),
]
