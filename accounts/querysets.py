from typing import TYPE_CHECKING, Any, Self, TypeAlias

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from accounts.identifiers import normalize_email, normalize_username
from common.caching.invalidation import CachedQuerySet
from common.jobs.querysets import JobQuerySet
from common.querysets import SoftDeleteQuerySet

if TYPE_CHECKING:
    from accounts.models import Mail, User

Viewer: TypeAlias = "User | AnonymousUser"


class CompanyOwnedQuerySet(models.QuerySet):
    """Rows that belong to a company."""

    def visible_to(self, user: Viewer) -> Self:
        """Return the rows of the user's company; all rows for a superuser."""
        if not user.is_authenticated:
            return self.none()
        return self if user.is_superuser else self.filter(company_id=user.company_id)


class CompanyQuerySet(CachedQuerySet):
    def visible_to(self, user: Viewer) -> Self:
        """Return the user's company; all companies for a superuser."""
        if not user.is_authenticated:
            return self.none()
        return self if user.is_superuser else self.filter(pk=user.company_id)


class UserQuerySet(CompanyOwnedQuerySet, SoftDeleteQuerySet):
    def visible_to(self, user: Viewer) -> Self:
        """Return the live users that `user` can see.

        A superuser sees all, a company's admin the whole company, others its active users.
        With `SIGNUP=open` the users of a company don't know each other, so an agent sees only
        themselves.
        """
        users = super().visible_to(user).live()
        if not user.is_authenticated or user.is_superuser or user.is_admin:
            return users
        if settings.SIGNUP == "open" and user.is_agent:
            return users.filter(pk=user.pk)
        return users.filter(is_active=True)

    def active_admins(self) -> Self:
        return self.live().filter(is_active=True, role="admin")

    def with_identifier(self, identifier: str) -> Self:
        """Return the live users with this email, or this username if it contains no `@`."""
        if "@" in identifier:
            return self.live().filter(email__lower=normalize_email(identifier))
        return self.live().filter(username__lower=normalize_username(identifier).lower())


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, username: str | None) -> Any:
        return self.live().get(email__lower=normalize_email(username or ""))

    def create_user(self, *, email: str, password: str | None, **fields: Any) -> "User":
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class InvitationQuerySet(CompanyOwnedQuerySet):
    def pending(self) -> Self:
        """Return the invitations that are neither accepted, revoked nor expired."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=Now())

    def with_authorized_inviter(self) -> Self:
        """Return the invitations whose inviter is still active and still an admin."""
        is_active = models.Q(invited_by__is_active=True, invited_by__deleted_at=None)
        is_admin = models.Q(invited_by__role="admin") | models.Q(invited_by__is_superuser=True)
        return self.filter(is_active, is_admin)


class MailQuerySet(JobQuerySet, CompanyOwnedQuerySet):
    def enqueue_to(self, user: "User", kind: str, **related: Any) -> "Mail":
        """Queue a mail to a user; `related` is the row whose link the mail contains."""
        return self.enqueue(
            company_id=user.company_id, kind=kind, to=user.email, user=user, **related
        )


class LoginQuerySet(models.QuerySet):
    def visible_to(self, user: Viewer) -> Self:
        """Return the user's own logins, also for an admin or a superuser."""
        return self.filter(user_id=user.pk) if user.is_authenticated else self.none()

    def active(self) -> Self:
        """Return the logins that have neither ended nor expired."""
        return self.filter(ended_at=None, expires_at__gt=Now())

    def end(self) -> int:
        """End the logins that have not ended and return their number."""
        return self.filter(ended_at=None).update(ended_at=Now())
