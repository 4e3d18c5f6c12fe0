from decimal import Decimal

import factory

from accounts.tests.factories import CompanyFactory
from catalog.models import Product


class ProductFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Product

    company = factory.SubFactory(CompanyFactory)
    name = factory.Sequence(lambda n: f"Product {n}")
    sku = factory.Sequence(lambda n: f"SKU-{n:05}")
    price = Decimal("9.99")
    stock = 5
    category = "Things"
