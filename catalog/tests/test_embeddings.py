"""The products whose vectors are nearest to one."""

from math import cos, sin

import pytest

from accounts.models import Company
from catalog import embeddings
from catalog.embeddings import find_nearest, nearest_products
from catalog.models import EmbeddingModel, Product, ProductEmbedding
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db


def give_vector(product: Product, vector: list[float], model: str = "m") -> None:
    ProductEmbedding.objects.create(
        company_id=product.company_id,
        product=product,
        model=model,
        content_hash="0",
        dimensions=len(vector),
        vector=vector,
    )


@pytest.fixture
def model(db: None) -> EmbeddingModel:
    return EmbeddingModel.objects.create(name="m", dimensions=3)


def test_similar_products_come_in_order_without_the_product_itself(model: EmbeddingModel) -> None:
    lamp, torch, desk, hidden = ProductFactory.create_batch(4)
    vectors = ([1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0])
    for product, vector in zip((lamp, torch, desk, hidden), vectors, strict=True):
        give_vector(product, vector)
    Company.objects.filter(pk=hidden.company_id).update(is_active=False)
    found = nearest_products(lamp, limit=5)
    assert [pk for pk, _ in found] == [torch.pk, desk.pk]
    assert [round(near, 2) for _, near in found] == [0.71, 0.0]
    assert [pk for pk, _ in nearest_products(lamp, limit=5, exclude=[torch.pk])] == [desk.pk]
    assert nearest_products(lamp, limit=5, products=Product.objects.filter(pk=lamp.pk)) == []


def test_a_product_without_a_vector_is_like_none(model: EmbeddingModel) -> None:
    give_vector(ProductFactory(), [1, 0, 0])
    assert nearest_products(ProductFactory(), limit=5) == []


def test_a_filter_that_only_far_rows_pass_hides_none_of_them(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = Product.objects.bulk_create(
        Product(company=company, name=f"P {i}", sku=f"P-{i}", price=1, stock=int(i >= 445))
        for i in range(450)
    )
    ProductEmbedding.objects.bulk_create(
        ProductEmbedding(
            company=company,
            product=product,
            model="m",
            content_hash="0",
            dimensions=384,
            vector=[cos(i / 450), sin(i / 450)] + 382 * [0.0],
        )
        for i, product in enumerate(products)
    )
    in_stock = Product.objects.public().filter(stock__gt=0)
    for max_compared in (0, 50_000):
        monkeypatch.setattr(embeddings, "MAX_COMPARED_PRODUCTS", max_compared)
        found = find_nearest(in_stock, [1.0] + 383 * [0.0], model="m", limit=5)
        assert [pk for pk, _ in found] == [product.pk for product in products[445:]]
