from typing import TYPE_CHECKING, Any, Self, TypeAlias

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AnonymousUser
from django.db import models

from accounts.identifiers import normalize_email, normalize_username
from common.caching.invalidation import CachedQuerySet
from common.jobs.models import JobQuerySet
from common.querysets import SoftDeleteQuerySet

if TYPE_CHECKING:
    from accounts.models import User

Viewer: TypeAlias = "User | AnonymousUser"


class CompanyOwnedQuerySet(models.QuerySet):
    """Rows that belong to a company."""

    def visible_to(self, user: Viewer) -> Self:
        """The rows that `user` may know of; all other rows don't exist for them."""
        if not user.is_authenticated:
            return self.none()
        return self if user.is_superuser else self.filter(company_id=user.company_id)


class CompanyQuerySet(CachedQuerySet):
    def visible_to(self, user: Viewer) -> Self:
        if not user.is_authenticated:
            return self.none()
        return self if user.is_superuser else self.filter(pk=user.company_id)


class UserQuerySet(CompanyOwnedQuerySet, SoftDeleteQuerySet):
    def visible_to(self, user: Viewer) -> Self:
        """Everybody for a superuser, the company for its admin, for others who is active there.

        Where anybody may sign up (`SIGNUP=open`) the people of a company don't know each other:
        then agents see themselves alone.
        """
        people = super().visible_to(user).live()
        if not user.is_authenticated or user.is_superuser or user.is_admin:
            return people
        if settings.SIGNUP == "open" and user.is_agent:
            return people.filter(pk=user.pk)
        return people.filter(is_active=True)

    def active_admins(self) -> Self:
        return self.live().filter(is_active=True, role="admin")

    def with_identifier(self, identifier: str) -> Self:
        """Live users with this email or, where it holds no `@`, this username."""
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
    def open(self) -> Self:
        """Neither accepted nor revoked nor expired."""
        now = models.functions.Now()
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)

    def from_those_who_may_invite(self) -> Self:
        """Sent by somebody who is still there and still an admin."""
        there = models.Q(invited_by__is_active=True, invited_by__deleted_at=None)
        may = models.Q(invited_by__role="admin") | models.Q(invited_by__is_superuser=True)
        return self.filter(there, may)


class MailQuerySet(JobQuerySet, CompanyOwnedQuerySet):
    pass


class LoginQuerySet(models.QuerySet):
    def visible_to(self, user: Viewer) -> Self:
        """Everybody's logins are their own, an admin's too."""
        return self.filter(user_id=user.pk) if user.is_authenticated else self.none()

    def open(self) -> Self:
        return self.filter(ended_at=None, expires_at__gt=models.functions.Now())

    def end(self) -> int:
        return self.filter(ended_at=None).update(ended_at=models.functions.Now())
