from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AnonymousUser
from django.db import connection, models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.identifiers import get_idna2003_form, normalize_email, normalize_username
from common.caching.invalidation import CachedQuerySet
from common.events import record
from common.jobs.querysets import JobQuerySet
from common.querysets import SoftDeleteQuerySet

if TYPE_CHECKING:
    from accounts.models import Mail, User

log = structlog.get_logger(__name__)

# To one address from one company, of each kind: more would help to flood a stranger's mailbox.
MAX_MAILS_PER_DAY = 3
MAIL_LIMIT_PERIOD = timedelta(days=1)
# The services that Bureau replaces stored bcrypt hashes without Django's prefix.
RAW_BCRYPT_PREFIX = "$2"
BCRYPT_PREFIX = "bcrypt$"
IMPORTED_PASSWORD = models.Q(password__startswith=RAW_BCRYPT_PREFIX) | models.Q(
    password__startswith=BCRYPT_PREFIX
)

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

    def with_imported_password(self) -> Self:
        """Return the users whose password is still hashed by bcrypt."""
        return self.filter(IMPORTED_PASSWORD)

    def with_identifier(self, identifier: str) -> Self:
        """Return the live users with this email, or this username if it contains no `@`."""
        if "@" in identifier:
            return self.live()._with_email(identifier)
        return self.live().filter(username__lower=normalize_username(identifier).lower())

    def _with_email(self, email: str) -> Self:
        """Return the users with this email, or else with the form that release 1.0 stored."""
        email = normalize_email(email)
        users = self.filter(email__lower=email)
        old_form = get_idna2003_form(email)
        if old_form and not users.exists():
            return self.filter(email__lower=old_form)
        return users


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, username: str | None) -> Any:
        return self.live().get(email__lower=normalize_email(username or ""))

    def create_user(self, *, email: str, password: str | None, **fields: Any) -> "User":
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, *, company: UUID | str, **fields: Any) -> "User":
        """Create a superuser from the fields that Django's `createsuperuser` asks for."""
        rights: dict[str, Any] = {"role": "admin", "is_staff": True, "is_superuser": True}
        with transaction.atomic(using=self._db):
            user = self.create_user(company_id=company, **fields, **rights)
            record("user.created", by=None, target=user)
        return user


class InvitationQuerySet(CompanyOwnedQuerySet):
    def pending(self) -> Self:
        """Return the invitations that are neither accepted, revoked nor expired."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=Now())

    def with_authorized_inviter(self) -> Self:
        """Return the invitations whose inviter is still active and an admin of the company."""
        is_active = models.Q(invited_by__is_active=True, invited_by__deleted_at=None)
        is_admin = models.Q(invited_by__role="admin", invited_by__company=models.F("company"))
        is_superuser = models.Q(invited_by__is_superuser=True)
        return self.filter(is_active, is_admin | is_superuser)


class MailQuerySet(JobQuerySet, CompanyOwnedQuerySet):
    def enqueue_to(self, user: "User", kind: str, **related: Any) -> "Mail | None":
        """Queue a mail to a user; `related` is the row whose link the mail contains."""
        return self.enqueue_limited(user.company_id, kind, user.email, user=user, **related)

    def enqueue_limited(self, company_id: UUID, kind: str, to: str, **fields: Any) -> "Mail | None":
        """Queue a mail, or return None if the address got `MAX_MAILS_PER_DAY` of this kind.

        Call it in a transaction: the lock makes parallel ones wait, so that each counts the
        mails of the others.
        """
        lock_name = f"mail {company_id} {kind} {to}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [lock_name])
        if self.get_free_at(company_id, kind, to):
            log.warning("mail_limit_reached", kind=kind, company=str(company_id))
            return None
        return self.enqueue(company_id=company_id, kind=kind, to=to, **fields)

    def get_free_at(self, company_id: UUID, kind: str, to: str) -> datetime | None:
        """Return when the address may get another mail of this kind; None if it may now."""
        since = timezone.now() - MAIL_LIMIT_PERIOD
        recent = self.filter(company_id=company_id, kind=kind, to=to, created_at__gt=since)
        times = recent.order_by("-created_at").values_list("created_at", flat=True)
        last_times = list(times[:MAX_MAILS_PER_DAY])
        return last_times[-1] + MAIL_LIMIT_PERIOD if len(last_times) == MAX_MAILS_PER_DAY else None


class UserLinkQuerySet(models.QuerySet):
    """Rows of links that are mailed to users and work once."""

    def usable(self) -> Self:
        """Return the links that were neither used nor revoked and have not expired."""
        return self.filter(used_at=None, expires_at__gt=Now())

    def revoke_for(self, users: models.QuerySet) -> None:
        """Make the links of these users unusable, also those that are mailed later."""
        self.filter(user__in=users, used_at=None).update(used_at=Now())


class PasswordResetQuerySet(JobQuerySet, UserLinkQuerySet):
    pass


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
