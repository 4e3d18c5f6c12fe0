from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts.permissions import ADMIN_ROLES, RolePermission


class ProductPermission(RolePermission):
    """Allows anyone to read, and an admin to write the products of their company."""

    write_roles = ADMIN_ROLES

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE_METHODS or super().has_permission(request, view)

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return request.method in SAFE_METHODS or super().has_object_permission(request, view, obj)
