from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from accounts.admin import ScopedAdmin
from catalog.file_responses import file_response
from catalog.import_models import COUNTERS, ProductImport
from catalog.imports import failed_rows, services
from catalog.imports.errors import FileRefused
from catalog.imports.uploaded_file import detect_format
from common.api.exceptions import Conflict
from common.jobs.admin import ProgressBarsMixin

CONFIRM_DIALOG = {
    "title": "Confirm the import",
    "description": "The products are written as the dry run has counted.",
    "form_class": None,
    "form_submit_text": "Import",
}
CANCEL_DIALOG = {
    "title": "Cancel the import",
    "description": "What it has written stays.",
    "form_class": None,
    "form_submit_text": "Cancel the import",
}


class ImportForm(forms.ModelForm):
    """The form of a new import, which begins as a dry run."""

    file = forms.FileField(help_text="CSV or XLSX; its first row has the names of the columns.")
    ignore_unknown_columns = forms.BooleanField(required=False)

    class Meta:
        model = ProductImport
        fields = ("file", "mode", "ignore_unknown_columns")

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > settings.IMPORT_MAX_BYTES:
            message = f"The file is larger than {settings.IMPORT_MAX_BYTES:,} bytes."
            raise ValidationError(message, "too_large")
        return file

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if file := data.get("file"):
            try:
                data["file_format"] = detect_format(
                    file,
                    mode=data.get("mode", ProductImport.Mode.UPSERT),
                    ignore_unknown=data["ignore_unknown_columns"],
                )
            except FileRefused as error:
                errors = [ValidationError(message, code) for code, message in error.errors]
                self.add_error("file", errors)
        return data


@admin.register(ProductImport)
class ProductImportAdmin(ProgressBarsMixin, ScopedAdmin):
    """Imports: a file is checked first, and its page shows what the import would do."""

    form = ImportForm
    list_display = ("__str__", "progress_bar", "mode", "dry_run", *COUNTERS, "user", "company")
    list_filter = ("status", "mode", "dry_run", "company", "created_at")
    list_select_related = ("user", "company")
    search_fields = ("file_name", "user__email")
    fields = readonly_fields = (
        "own_progress_bar",
        "mode",
        "dry_run",
        "file_name",
        "display_columns",
        "total_rows",
        *COUNTERS,
        "error",
        "display_errors",
        "user",
        "company",
        "started_at",
        "finished_at",
    )
    actions_detail = ("confirm", "cancel", "download_failed_rows")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ImportForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return super().get_readonly_fields(request, obj) if obj else []

    def save_model(self, request: Any, obj: ProductImport, form: Any, change: bool) -> None:
        data = form.cleaned_data
        created = services.create_import(
            by=request.user,
            file=data["file"],
            file_format=data["file_format"],
            file_name=data["file"].name or "",
            file_bytes=data["file"].size,
            mode=data["mode"],
            dry_run=True,
        )
        obj.pk = created.pk

    def response_add(self, request: HttpRequest, obj: Any, *_: Any, **__: Any) -> HttpResponse:
        messages.info(
            request, "The file is checked. Confirm the import when its progress is complete."
        )
        return redirect(_page_url(obj.pk))

    @display(description="Columns")
    def display_columns(self, product_import: ProductImport) -> str:
        return ", ".join(product_import.columns)

    @display(description="First errors")
    def display_errors(self, product_import: ProductImport) -> SafeString | str:
        rows = [
            (error["line"], error["column"], error["value"], error["message"])
            for error in product_import.errors
        ]
        return format_html_join("", "<p>Line {}, {}: “{}”. {}</p>", rows) or "-"

    @action(description="Confirm the import", dialog=CONFIRM_DIALOG)
    def confirm(self, request: HttpRequest, _form: Any, object_id: str) -> HttpResponse:
        return self._apply(request, object_id, services.confirm_import, "The import is queued.")

    @action(description="Cancel", dialog=CANCEL_DIALOG)
    def cancel(self, request: HttpRequest, _form: Any, object_id: str) -> HttpResponse:
        return self._apply(request, object_id, services.cancel_import, "The import is cancelled.")

    @action(description="Download failed rows")
    def download_failed_rows(self, request: HttpRequest, object_id: str) -> Any:
        product_import = self._find(request, object_id)
        return file_response(
            failed_rows.read_csv(product_import), "text/csv; charset=utf-8", "failed-rows.csv"
        )

    def _apply(self, request: Any, object_id: str, service: Any, result: str) -> HttpResponse:
        try:
            service(self._find(request, object_id), by=request.user)
        except Conflict as error:
            messages.error(request, str(error.detail))
        else:
            messages.success(request, result)
        # The dialog sends its form by htmx, which takes the target from this header.
        return HttpResponse(headers={"HX-Redirect": _page_url(object_id)})

    def _find(self, request: HttpRequest, object_id: str) -> ProductImport:
        product_import = self.get_object(request, object_id)
        if product_import is None or not self.has_add_permission(request):
            raise PermissionDenied
        return product_import


def _page_url(pk: Any) -> str:
    return reverse("admin:catalog_productimport_change", args=[pk])
