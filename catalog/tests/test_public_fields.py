"""All representations of a product have the fields that `PUBLIC_FIELDS` declares."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework import serializers
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product
from catalog.public_fields import COLUMNS, FIELD_NAMES, PUBLIC_FIELDS
from catalog.serializers import ProductSerializer
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/products"
PRIVATE_COLUMNS = {"deleted_at", "heading_vector", "search_vector"}


def names_of(value: Any) -> Any:
    """Return the names in a JSON object, in their order, with those of nested objects."""
    return [(name, names_of(v)) if isinstance(v, dict) else name for name, v in value.items()]


DECLARED = [
    (field.name, [child.name for child in field.children]) if field.children else field.name
    for field in PUBLIC_FIELDS
]


@pytest.fixture
def product() -> Product:
    return ProductFactory(name="Desk", description="Of oak")


def test_list_detail_search_and_create_return_the_declared_fields(
    api: APIClient, product: Product, as_user: Any, admin: User
) -> None:
    detail = api.get(f"{URL}/{product.pk}").json()
    listed = api.get(URL).json()["items"]
    found = api.get(f"{URL}/search", {"q": "desk"}).json()["items"]
    created = as_user(admin).post(URL, {"name": "Lamp", "price": "1", "sku": "L-1"}).json()
    assert names_of(detail) == names_of(created) == DECLARED
    assert [detail] == listed == found


def test_the_serializer_has_the_declared_fields() -> None:
    fields = ProductSerializer().fields
    assert tuple(fields) == FIELD_NAMES
    company: Any = fields["company"]
    assert ("company", list(company.fields)) in DECLARED


def test_the_schema_has_the_declared_fields() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    assert tuple(schema["components"]["schemas"]["Product"]["properties"]) == FIELD_NAMES


def test_the_json_has_the_values_that_the_serializers_fields_would_return(
    api: APIClient, product: Product
) -> None:
    by_fields = serializers.ModelSerializer.to_representation(ProductSerializer(), product)
    assert api.get(URL).json()["items"] == [by_fields]


def test_each_column_is_public_or_known_to_be_private() -> None:
    columns = {field.name for field in Product._meta.concrete_fields}
    assert columns == {*FIELD_NAMES, *PRIVATE_COLUMNS}


def test_the_queryset_loads_the_public_columns_in_one_query(
    product: Product, count_queries: Any
) -> None:
    def read() -> None:
        row = Product.objects.with_public_fields().get(pk=product.pk)
        assert row.get_deferred_fields() == PRIVATE_COLUMNS
        assert row.company.get_deferred_fields() == {
            field.name
            for field in row.company._meta.concrete_fields
            if f"company__{field.name}" not in COLUMNS
        }

    assert count_queries(read) == 1
