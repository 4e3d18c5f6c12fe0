from django.urls import path
from rest_framework.routers import SimpleRouter

from catalog.export_views import ProductExportViewSet
from catalog.imports.views import ProductImportViewSet
from catalog.views import ProductViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("products", ProductViewSet, basename="product")

IMPORT_PATH = "products/imports/<uuid:pk>"

urlpatterns = [
    *router.urls,
    path("products/export", ProductExportViewSet.as_view({"get": "export"}, detail=False)),
    path("products/import", ProductImportViewSet.as_view({"post": "create_and_run"})),
    path("products/imports", ProductImportViewSet.as_view({"get": "list", "post": "create"})),
    path(IMPORT_PATH, ProductImportViewSet.as_view({"get": "retrieve"}, detail=True)),
    path(f"{IMPORT_PATH}/confirm", ProductImportViewSet.as_view({"post": "confirm"}, detail=True)),
    path(f"{IMPORT_PATH}/cancel", ProductImportViewSet.as_view({"post": "cancel"}, detail=True)),
    path(f"{IMPORT_PATH}/errors", ProductImportViewSet.as_view({"get": "errors"}, detail=True)),
]
