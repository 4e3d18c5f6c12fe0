from typing import Any, ClassVar

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import Role, User

EVERYBODY = frozenset(Role)
PEOPLE = frozenset({Role.ADMIN, Role.AGENT})
ADMINS = frozenset({Role.ADMIN})


class RolePermission(BasePermission):
    """The roles that may read and write a kind of row; a superuser may do both.

    Subclasses declare the two sets. For one row the question is asked after the row was found
    among those that the person may see: so a hidden row is a 404 for every role, and a 403
    says only that the role may not do this to a row that it may see.
    """

    read: ClassVar[frozenset[Role]] = EVERYBODY
    write: ClassVar[frozenset[Role]] = EVERYBODY

    @property
    def can_deny_reads(self) -> bool:
        """For the API's description: whether some roles read nothing of this."""
        return self.read != EVERYBODY

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        return view.detail is True or self._allows(request)

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return self._allows(request)

    def _allows(self, request: Request) -> bool:
        roles = self.read if request.method in SAFE_METHODS else self.write
        user = request.user
        return user.is_authenticated and (user.is_superuser or user.role in roles)


class CompanyPermission(RolePermission):
    """Everybody reads their company and its admin changes it; only a superuser founds one."""

    write = ADMINS

    def has_permission(self, request: Request, view: Any) -> bool:
        allowed = super().has_permission(request, view)
        return allowed and (view.action != "create" or request.user.is_superuser)


class PeoplePermission(RolePermission):
    """Colleagues are read by all; an admin manages them, but no operator of the installation."""

    write = ADMINS

    def has_object_permission(self, request: Request, view: Any, obj: User) -> bool:
        untouchable = obj.is_superuser and not request.user.is_superuser
        reads = request.method in SAFE_METHODS
        return super().has_object_permission(request, view, obj) and (reads or not untouchable)


class AdminOnly(RolePermission):
    read = write = ADMINS


class AdminOfPeople(PeoplePermission):
    read = write = ADMINS


class OwnRowsOnly(BasePermission):
    """For rows that are always the person's own, whatever their role."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated)
