from typing import Any, ClassVar

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import Role, User

ALL_ROLES = frozenset(Role)
HUMAN_ROLES = frozenset({Role.ADMIN, Role.AGENT})
ADMIN_ROLES = frozenset({Role.ADMIN})


class RolePermission(BasePermission):
    """Base of permissions by role; a superuser can read and write everything.

    On a detail route the role is checked after the row was found among the visible rows. So another
    company's row is a 404 for every role, and a 403 reveals nothing about other companies.
    """

    read_roles: ClassVar[frozenset[Role]] = ALL_ROLES
    write_roles: ClassVar[frozenset[Role]] = ALL_ROLES

    @property
    def can_deny_reads(self) -> bool:
        """Whether some roles can't read; the OpenAPI schema then lists a 403."""
        return self.read_roles != ALL_ROLES

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        return view.detail is True or self._is_role_allowed(request)

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return self._is_role_allowed(request)

    def _is_role_allowed(self, request: Request) -> bool:
        roles = self.read_roles if request.method in SAFE_METHODS else self.write_roles
        user = request.user
        return user.is_authenticated and (user.is_superuser or user.role in roles)


class CompanyPermission(RolePermission):
    """All users read their company and its admin changes it; only a superuser creates one."""

    write_roles = ADMIN_ROLES

    def has_permission(self, request: Request, view: Any) -> bool:
        is_allowed = super().has_permission(request, view)
        return is_allowed and (view.action != "create" or request.user.is_superuser)


class UserPermission(RolePermission):
    """All users read their colleagues and change their own row, whose serializer limits the fields.

    An admin manages all users of the company, except superusers.
    """

    write_roles = ADMIN_ROLES

    def has_object_permission(self, request: Request, view: Any, obj: User) -> bool:
        if view.action in ("update", "partial_update") and obj == request.user:
            return True
        is_protected = obj.is_superuser and not request.user.is_superuser
        is_read = request.method in SAFE_METHODS
        is_allowed = super().has_object_permission(request, view, obj)
        return is_allowed and (is_read or not is_protected)


class AdminOnly(RolePermission):
    read_roles = write_roles = ADMIN_ROLES


class AdminUserPermission(UserPermission):
    read_roles = write_roles = ADMIN_ROLES
