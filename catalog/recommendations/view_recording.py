"""Recording who viewed which product, and deleting views after 90 days."""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.models import Product, ProductView
from catalog.recommendation_models import ProductViewQuerySet
from catalog.recommendations import pending_views
from catalog.recommendations.pending_views import PendingView

BATCH_ROWS = 1_000
DELETED_BATCH_ROWS = 10_000


def record_view(product: Product, *, by: User) -> None:
    """Record that a person views a product; a batch inserts the row some seconds later.

    It records no event: a view changes nothing for others.
    """
    view = PendingView(by.company_id, by.pk, product.pk, timezone.now().date())
    if not pending_views.add(view):
        insert_views([view])


def insert_pending_views() -> int:
    """Insert the views that wait, and return their number.

    They are removed from Valkey after the commit. If that fails or the process dies before it, the
    next run reads them again and inserts nothing twice.
    """
    count = 0
    while views := pending_views.read_batch(BATCH_ROWS):
        insert_views(views)
        count += len(views)
        if not pending_views.remove(views):
            break
    return count


@transaction.atomic
def insert_views(views: Collection[PendingView]) -> None:
    """Insert the views that are not stored yet, except those of deleted people and products."""
    users = User.objects.live().filter(pk__in={view.user_id for view in views}).in_bulk()
    products = Product.objects.filter(pk__in={view.product_id for view in views})
    product_ids = set(products.values_list("pk", flat=True))
    ProductView.objects.bulk_create(
        [
            ProductView(**view._asdict())
            for view in views
            if view.user_id in users and view.product_id in product_ids
        ],
        ignore_conflicts=True,
    )


def delete_old_views() -> int:
    """Delete the views that are older than 90 days or of deleted people; return their number."""
    views = ProductView.objects
    return _delete_in_batches(views.expired()) + _delete_in_batches(views.of_deleted_people())


def _delete_in_batches(views: ProductViewQuerySet) -> int:
    total = 0
    while deleted := _delete_batch(views):
        total += deleted
    return total


def _delete_batch(views: ProductViewQuerySet) -> int:
    ids = views.order_by().values("pk")[:DELETED_BATCH_ROWS]
    return ProductView.objects.filter(pk__in=ids).delete()[0]
