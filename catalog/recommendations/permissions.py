from collections.abc import Mapping
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class RecommendationPermission(BasePermission):
    """Allows anyone to ask for products like one product, and a signed-in person for their own."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.user.is_authenticated:
            return True
        sent = view.sent_parameters
        return isinstance(sent, Mapping) and bool(sent.get("product_id"))
