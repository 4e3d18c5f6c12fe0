"""Finding products by words."""

from typing import Any

import pytest

from accounts.models import Company
from catalog.models import Product
from catalog.search import Found, search

pytestmark = pytest.mark.django_db


@pytest.fixture
def make(company: Company) -> Any:
    def product(name: str, category: str = "", description: str = "", **more: Any) -> Product:
        fields = {"company": company, "price": 1, **more}
        return Product.objects.create(
            name=name, category=category, description=description, **fields
        )

    return product


def find(text: str, **more: Any) -> Found:
    return search(Product.objects.public(), text, **more)


def names(text: str, **more: Any) -> list[str]:
    return [product.name for product in find(text, **more).products]


def test_tiers(make: Any) -> None:
    make("Lamp", "Lighting", "goes with a walnut bookcase")
    make("Shelf", "Bookcases", "walnut")
    make("Oslo in walnut", "Bookcases")
    make("Walnut bookcase", "Storage")
    make("Walnut bowl", "Kitchen")
    make("Rug", "Textiles")
    assert names("walnut bookcases") == [
        "Walnut bookcase",
        "Oslo in walnut",
        "Shelf",
        "Lamp",
        "Walnut bowl",
    ]
