"""A plain API over the same table: ModelViewSet, ModelSerializer and PageNumberPagination.

It has Django's default middleware, django-filter with declared fields, a search of the names by
`ILIKE`, and no cache. `benchmarks/catalog.py` compares the catalogue's uncached lists with it, and
`benchmarks/search_quality.py` its search.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.plain_settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.urls import include, path
from rest_framework.pagination import PageNumberPagination
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from accounts.models import Company
from catalog.models import Product


class CompanySerializer(ModelSerializer):
    class Meta:
        model = Company
        fields = ("id", "code", "name")


class ProductSerializer(ModelSerializer):
    company = CompanySerializer(read_only=True)

    class Meta:
        model = Product
        exclude = ("heading_vector", "search_vector", "deleted_at")


class ProductPagination(PageNumberPagination):
    page_size = 10
    page_size_query_param = "page_size"


class ProductViewSet(ModelViewSet):
    queryset = (
        Product.objects.filter(deleted_at=None, company__is_active=True)
        .select_related("company")
        .order_by("price", "id")
    )
    serializer_class = ProductSerializer
    pagination_class = ProductPagination
    filterset_fields = {"category": ["exact"], "price": ["gte", "lte"]}

    def get_queryset(self) -> QuerySet:
        text = self.request.query_params.get("search")
        if not text:
            return super().get_queryset()
        condition = RawSQL("catalog_product.name ILIKE %s", [f"%{text}%"], BooleanField())
        return self.queryset.filter(condition).order_by("-id")


router = SimpleRouter(trailing_slash=False)
router.register("products", ProductViewSet)
urlpatterns = [path("", include(router.urls))]
