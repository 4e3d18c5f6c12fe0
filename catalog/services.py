"""Writes to products; each records an event by `by`."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import User
from catalog.models import Product
from catalog.querysets import ProductQuerySet
from common.events import find_changes, record, record_all

# What the events of many products need.
LOCKED_COLUMNS = ("pk", "company_id", "name", "stock")


@transaction.atomic
def create_product(product: Product, *, by: User | None) -> None:
    """Insert a product; raises `IntegrityError` if the company has a live one with its SKU."""
    product.save(force_insert=True)
    record("product.created", by=by, target=product)


@transaction.atomic
def update_product(product: Product, *, values: Mapping[str, Any], by: User) -> None:
    """Store new `values` of a product by field; raises `IntegrityError` like `create_product`."""
    changes = find_changes(product, values)
    for field, value in values.items():
        setattr(product, field, value)
    product.save(update_fields=[*values, "updated_at"])
    if changes:
        record("product.updated", by=by, target=product, changes=changes)


@transaction.atomic
def replace_description(
    product: Product, description: str, *, unchanged: Iterable[str], by: User
) -> bool:
    """Store a description that was written from `product` as it was read.

    Returns `False`, and stores nothing, if the product is deleted or one of the fields `unchanged`
    has another value by now.
    """
    rows = Product.objects.live().filter(
        pk=product.pk, **{name: getattr(product, name) for name in unchanged}
    )
    replaced = rows.update(description=description, updated_at=Now()) == 1
    changes = find_changes(product, {"description": description})
    if replaced and changes:
        record("product.updated", by=by, target=product, changes=changes)
    return replaced


@transaction.atomic
def delete_product(product: Product, *, by: User) -> bool:
    """Mark a product as deleted; returns `False` if it is deleted already."""
    deleted = Product.objects.filter(pk=product.pk).soft_delete() == 1
    if deleted:
        record("product.deleted", by=by, target=product)
    return deleted


@transaction.atomic
def delete_products(products: ProductQuerySet, *, by: User) -> int:
    """Mark those of the products that are live as deleted; return their number."""
    rows = _lock(products.live())
    deleted = _select(rows).soft_delete()
    record_all("product.deleted", by=by, targets=[(row, {}) for row in rows])
    return deleted


@transaction.atomic
def mark_products_sold_out(products: ProductQuerySet, *, by: User) -> int:
    """Set the stock of these products to 0; return their number."""
    rows = _lock(products)
    updated = _select(rows).update(stock=0, updated_at=Now())
    changes = [(row, find_changes(row, {"stock": 0})) for row in rows]
    record_all("product.updated", by=by, targets=[entry for entry in changes if entry[1]])
    return updated


@transaction.atomic
def restore_product(product: Product, *, by: User) -> bool:
    """Undo a deletion; raises `IntegrityError` if a live product has taken the SKU.

    Returns `False` if the product is not deleted.
    """
    restored = Product.objects.filter(pk=product.pk).restore() == 1
    if restored:
        record("product.restored", by=by, target=product)
    return restored


def _lock(products: ProductQuerySet) -> list[Product]:
    """Lock the rows until the transaction ends, in the order of their ids."""
    rows = Product.objects.filter(pk__in=products.order_by().values("pk"))
    return list(rows.select_for_update(of=("self",)).order_by("pk").only(*LOCKED_COLUMNS))


def _select(rows: list[Product]) -> ProductQuerySet:
    return Product.objects.filter(pk__in=[row.pk for row in rows])
