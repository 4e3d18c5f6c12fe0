from typing import Self

from accounts.models import Role
from accounts.querysets import CompanyOwnedQuerySet, Viewer
from common.jobs import JobQuerySet


class PrivateQuerySet(CompanyOwnedQuerySet):
    """Rows that a person sees alone, with their company's admins; a `worker` sees none."""

    def visible_to(self, user: Viewer) -> Self:
        visible = super().visible_to(user)
        if not user.is_authenticated or user.is_superuser or user.role == Role.ADMIN:
            return visible
        return visible.filter(user_id=user.pk) if user.role == Role.AGENT else self.none()


class NoteQuerySet(PrivateQuerySet):
    def with_job(self) -> Self:
        return self.select_related("job")


class SummaryQuerySet(JobQuerySet, PrivateQuerySet):
    pass
