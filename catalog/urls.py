from django.urls import path
from rest_framework.routers import SimpleRouter

from catalog.description_views import DescriptionViewSet
from catalog.export_views import ProductExportViewSet
from catalog.imports.views import ProductImportViewSet
from catalog.recommendations.views import ProductViewViewSet, RecommendationViewSet
from catalog.search_views import SmartSearchViewSet
from catalog.views import ProductViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("products", ProductViewSet, basename="product")
router.register("search", SmartSearchViewSet, basename="search")

describe = DescriptionViewSet.as_view({"post": "generate_description"}, detail=True)
record_view = ProductViewViewSet.as_view({"post": "create"}, detail=True)
recommend = RecommendationViewSet.as_view({"get": "recommend", "post": "recommend"}, detail=False)
export = ProductExportViewSet.as_view({"get": "export"}, detail=False)

list_errors = ProductImportViewSet.as_view({"get": "errors"}, detail=False, filter_backends=())

IMPORT_PATH = "products/imports/<uuid:pk>"

urlpatterns = [
    *router.urls,
    path("products/<uuid:pk>/generate-description", describe),
    path("products/<uuid:pk>/views", record_view),
    path("recommendations", recommend),
    path("products/export", export),
    path("products/import", ProductImportViewSet.as_view({"post": "create_and_run"})),
    path("products/imports", ProductImportViewSet.as_view({"get": "list", "post": "create"})),
    path(IMPORT_PATH, ProductImportViewSet.as_view({"get": "retrieve"}, detail=True)),
    path(f"{IMPORT_PATH}/confirm", ProductImportViewSet.as_view({"post": "confirm"}, detail=True)),
    path(f"{IMPORT_PATH}/cancel", ProductImportViewSet.as_view({"post": "cancel"}, detail=True)),
    path(f"{IMPORT_PATH}/errors", list_errors),
]
