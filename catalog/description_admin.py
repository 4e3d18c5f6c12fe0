"""The button of the admin's product page that drafts a description."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from rest_framework.exceptions import APIException

from accounts.admin import ScopedAdmin
from catalog.description_views import describe_product
from catalog.models import Product


class DraftDescriptionAdmin(ScopedAdmin):
    """Shows a draft in the form's description; only saving the form stores it.

    The draft is kept in the session until the page is shown, because Django's own view of the page
    runs in a transaction, in which no AI call may be made.
    """

    change_form_outer_before_template = "catalog/draft_description.html"

    def get_urls(self) -> list[URLPattern]:
        view = require_POST(self.admin_site.admin_view(self.draft_description))
        name = "catalog_product_draft_description"
        return [path("<path:object_id>/draft-description/", view, name=name), *super().get_urls()]

    def draft_description(self, request: Any, object_id: str) -> HttpResponse:
        """Write a draft from the stored facts, and go back to the form."""
        product = super().get_object(request, object_id)
        if product is None:
            raise Http404
        if not self.has_change_permission(request, product):
            raise PermissionDenied
        try:
            description = describe_product(product, by=request.user)
        except APIException as error:
            messages.error(request, str(error.detail))
        else:
            request.session[_session_key(product)] = description.text
            messages.info(
                request, f"The description is a draft by {description.model}. Save it to keep it."
            )
        return redirect("admin:catalog_product_change", product.pk)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Product | None:
        product = super().get_object(request, object_id, from_field)
        if product and request.method == "GET":
            draft = request.session.pop(_session_key(product), None)
            product.description = draft or product.description
        return product


def _session_key(product: Product) -> str:
    return f"draft-description-{product.pk}"
