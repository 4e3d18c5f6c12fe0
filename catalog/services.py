"""Writes to products; each records an event by `by`."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import User
from catalog.models import Product
from catalog.querysets import ProductQuerySet
from common.events import record


@transaction.atomic
def create_product(product: Product, *, by: User) -> None:
    """Insert a product; raises `IntegrityError` if the company has a live one with its SKU."""
    product.save(force_insert=True)
    record("product.created", by=by, target=product)


@transaction.atomic
def update_product(product: Product, *, fields: Iterable[str], by: User) -> None:
    """Store the changed `fields` of a product; raises `IntegrityError` like `create_product`."""
    product.save(update_fields=[*fields, "updated_at"])
    record("product.updated", by=by, target=product)


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
    if replaced:
        record("product.updated", by=by, target=product)
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
    _record_all("product.deleted", rows, by=by)
    return deleted


@transaction.atomic
def mark_products_sold_out(products: ProductQuerySet, *, by: User) -> int:
    """Set the stock of these products to 0; return their number."""
    rows = _lock(products)
    updated = _select(rows).update(stock=0, updated_at=Now())
    _record_all("product.updated", rows, by=by)
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
    return list(rows.select_for_update(of=("self",)).order_by("pk").only("pk", "company_id"))


def _select(rows: list[Product]) -> ProductQuerySet:
    return Product.objects.filter(pk__in=[row.pk for row in rows])


def _record_all(action: str, rows: list[Product], *, by: User) -> None:
    for row in rows:
        record(action, by=by, target=row)
