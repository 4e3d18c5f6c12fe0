from typing import Any

from django.contrib import admin, messages
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import FieldTextFilter, RangeNumericFilter
from unfold.decorators import action, display

from accounts.admin import ScopedAdmin
from catalog.models import Product


class DeletedFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Deleted")]

    def choices(self, changelist: Any) -> Any:
        return (
            {**choice, "display": choice["display"].replace("All", "Live")}
            for choice in super().choices(changelist)
        )

    def queryset(self, request: HttpRequest, products: QuerySet) -> QuerySet:
        return products.filter(deleted_at__isnull=self.value() != "1")


@admin.register(Product)
class ProductAdmin(ScopedAdmin):
    list_display = ("shown_product", "company", "category", "price", "shown_stock", "updated_at")
    list_filter = (
        DeletedFilter,
        "company",
        ("category", FieldTextFilter),
        ("stock", RangeNumericFilter),
        ("price", RangeNumericFilter),
    )
    list_filter_submit = True
    list_select_related = ("company",)
    search_fields = ("name", "sku", "category")
    # Counting all rows takes as long as reading them.
    show_full_result_count = False
    fields = ("name", "sku", "category", "description", "price", "stock", "company")
    readonly_fields = ("company",)
    actions = ("mark_sold_out", "restore")

    def get_queryset(self, request: Any) -> QuerySet:
        products = Product.objects.defer("vector")
        own = {} if request.user.is_superuser else {"company": request.user.company}
        return products.filter(**own)

    def save_model(self, request: Any, product: Product, form: Any, change: bool) -> None:
        if not change:
            product.company = request.user.company
        product.save()

    def delete_model(self, request: HttpRequest, product: Product) -> None:
        Product.objects.filter(pk=product.pk).soft_delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        Product.objects.filter(pk__in=queryset.values("pk")).soft_delete()

    @display(description="Product", header=True, ordering="name")
    def shown_product(self, product: Product) -> list[str]:
        return [product.name, product.sku]

    @display(
        description="Stock",
        label={"sold out": "danger", "few": "warning", "enough": "success"},
        ordering="stock",
    )
    def shown_stock(self, product: Product) -> tuple[str, str]:
        level = "sold out" if product.stock == 0 else "few" if product.stock < 5 else "enough"
        return level, str(product.stock)

    @action(description="Mark as sold out")
    def mark_sold_out(self, request: HttpRequest, products: QuerySet) -> None:
        changed = Product.objects.filter(pk__in=products.values("pk")).update(stock=0)
        messages.success(request, f"{changed} marked as sold out.")

    @action(description="Restore")
    def restore(self, request: HttpRequest, products: QuerySet) -> None:
        restored = sum(self._restored(request, product) for product in products)
        messages.success(request, f"{restored} restored.")

    def _restored(self, request: HttpRequest, product: Product) -> int:
        """1, or 0 with a message where a live product has taken its SKU."""
        try:
            with transaction.atomic():
                return Product.objects.filter(pk=product.pk).restore()
        except IntegrityError:
            messages.error(request, f"{product}: another live product has the SKU {product.sku}.")
            return 0
