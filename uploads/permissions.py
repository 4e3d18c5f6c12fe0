from typing import Any

from rest_framework.request import Request

from accounts.permissions import HUMAN_ROLES, RolePermission


class CollectionPermission(RolePermission):
    """Projects and cycles are read by all of the company and written by its people."""

    write_roles = HUMAN_ROLES


class SessionPermission(CollectionPermission):
    """A machine may also write to a session: what, says `serializers.SessionReportSerializer`."""

    reports = ("update", "partial_update")

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return view.action in self.reports or super().has_object_permission(request, view, obj)


class RunPermission(RolePermission):
    """To run a session is what machines are for; people may as well."""
