from typing import Any

from rest_framework.request import Request

from accounts.permissions import HUMAN_ROLES, RolePermission


class CollectionPermission(RolePermission):
    """All roles read projects and cycles; admins and agents write them."""

    write_roles = HUMAN_ROLES


class SessionPermission(CollectionPermission):
    """The role `worker` may also report on sessions (`SessionReportSerializer`) and end them."""

    report_actions = ("update", "partial_update", "complete")

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return view.action in self.report_actions or super().has_object_permission(
            request, view, obj
        )


class UploadPermission(RolePermission):
    """All roles may start sessions and presign uploads."""
