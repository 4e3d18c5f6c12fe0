from typing import Any

from django.contrib import admin, messages
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import FieldTextFilter, RangeNumericFilter
from unfold.decorators import action, display

from accounts.admin import ReadOnlyAdmin, SuperuserReadOnlyAdmin
from catalog import services
from catalog.description_admin import DraftDescriptionAdmin
from catalog.export import FORMATS
from catalog.file_responses import file_response
from catalog.import_admin import ProductImportAdmin
from catalog.models import EmbeddingModel, Product, ProductView
from common.jobs.admin import STATUS_COLOURS

__all__ = ["ProductAdmin", "ProductImportAdmin"]

LOW_STOCK = 5


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
class ProductAdmin(DraftDescriptionAdmin):
    list_display = (
        "display_product",
        "company",
        "category",
        "price",
        "display_stock",
        "updated_at",
    )
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
    # Counting all rows would read all of them.
    show_full_result_count = False
    fields = ("name", "sku", "category", "description", "price", "stock", "company")
    readonly_fields = ("company",)
    actions = ("mark_sold_out", "restore", "export_csv", "export_xlsx")
    actions_list = ("import_products",)

    def get_queryset(self, request: Any) -> QuerySet:
        """Return the company's products, deleted ones included; a superuser sees all."""
        products = Product.objects.defer("heading_vector", "search_vector")
        if request.user.is_superuser:
            return products
        return products.filter(company=request.user.company)

    def get_form(self, request: Any, obj: Product | None = None, **kwargs: Any) -> Any:
        """Require a SKU, except of a product of release 1.0 that has none."""
        form = super().get_form(request, obj, **kwargs)
        if obj and not obj.sku and "sku" in form.base_fields:
            form.base_fields["sku"].required = False
        return form

    def save_model(self, request: Any, product: Product, form: Any, change: bool) -> None:
        if change:
            values = {name: form.cleaned_data[name] for name in form.changed_data}
            stored = Product.objects.get(pk=product.pk)
            services.update_product(stored, values=values, by=request.user)
        else:
            product.company = request.user.company
            services.create_product(product, by=request.user)

    def delete_model(self, request: Any, product: Product) -> None:
        services.delete_product(product, by=request.user)

    def delete_queryset(self, request: Any, queryset: Any) -> None:
        services.delete_products(queryset, by=request.user)

    @display(description="Product", header=True, ordering="name")
    def display_product(self, product: Product) -> list[str]:
        return [product.name, product.sku]

    @display(
        description="Stock",
        label={"sold out": "danger", "low": "warning", "in stock": "success"},
        ordering="stock",
    )
    def display_stock(self, product: Product) -> tuple[str, str]:
        if product.stock == 0:
            return "sold out", "0"
        return "low" if product.stock < LOW_STOCK else "in stock", str(product.stock)

    @action(description="Mark as sold out")
    def mark_sold_out(self, request: Any, products: Any) -> None:
        changed = services.mark_products_sold_out(products, by=request.user)
        messages.success(request, f"{changed} products are marked as sold out.")

    @action(description="Restore")
    def restore(self, request: HttpRequest, products: QuerySet) -> None:
        restored = sum(self._restore_one(request, product) for product in products)
        messages.success(request, f"{restored} products are restored.")

    @action(description="Export as CSV")
    def export_csv(self, request: HttpRequest, products: QuerySet) -> StreamingHttpResponse:
        return _export(products, "csv")

    @action(description="Export as XLSX")
    def export_xlsx(self, request: HttpRequest, products: QuerySet) -> StreamingHttpResponse:
        return _export(products, "xlsx")

    @action(description="Import")
    def import_products(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:catalog_productimport_add")

    def _restore_one(self, request: Any, product: Product) -> bool:
        """Restore a product, or show an error if a live product has taken its SKU."""
        try:
            return services.restore_product(product, by=request.user)
        except IntegrityError:
            messages.error(
                request,
                f"{product} can't be restored: another live product has the SKU {product.sku}.",
            )
            return False


@admin.register(EmbeddingModel)
class EmbeddingModelAdmin(SuperuserReadOnlyAdmin):
    """The progress of embedding, and what is wrong with a provider."""

    list_display = ("name", "display_status", "read_until", "completed_at", "error")
    fields = (
        "name",
        "dimensions",
        "similarity_floor",
        "similarity_ceiling",
        "read_until",
        "completed_at",
        "status",
        "attempts",
        "error",
        "run_after",
        "started_at",
        "finished_at",
    )

    @display(description="Status", label=STATUS_COLOURS)
    def display_status(self, model: EmbeddingModel) -> str:
        return model.status


@admin.register(ProductView)
class ProductViewAdmin(ReadOnlyAdmin):
    list_display = ("product", "user", "company", "day")
    list_filter = ("company", "day")
    list_select_related = ("product", "user", "company")
    search_fields = ("product__name", "user__email")
    show_full_result_count = False


def _export(products: QuerySet, name: str) -> StreamingHttpResponse:
    """Return the selected products as a file: with "select all", those of the filtered list."""
    file_format = FORMATS[name]
    parts = file_format.export(products.select_related(None).order_by("-id"))
    return file_response(parts, file_format.content_type, f"products.{name}")
