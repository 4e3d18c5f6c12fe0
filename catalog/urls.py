from django.urls import path
from rest_framework.routers import SimpleRouter

from catalog.description_views import DescriptionViewSet
from catalog.views import ProductViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("products", ProductViewSet, basename="product")

urlpatterns = [
    *router.urls,
    path(
        "products/<uuid:pk>/generate-description",
        DescriptionViewSet.as_view({"post": "generate_description"}, detail=True),
    ),
]
