from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from accounts.identifiers import (
    MAX_NAME_CHARS,
    MAX_USERNAME_CHARS,
    normalize_password,
    validate_one_line,
    validate_username,
)
from accounts.querysets import (
    BCRYPT_PREFIX,
    IMPORTED_PASSWORD,
    RAW_BCRYPT_PREFIX,
    CompanyOwnedQuerySet,
    CompanyQuerySet,
    InvitationQuerySet,
    LoginQuerySet,
    MailQuerySet,
    PasswordResetQuerySet,
    UserLinkQuerySet,
    UserManager,
)
from common.caching.invalidation import CachedModel
from common.events import Audience, EventKind, record
from common.events.context import current_user
from common.jobs import Job
from common.jobs.status import JobStatus
from common.models import BaseModel, SoftDeleteModel

# `email__lower=…` compiles to the expression of the unique indexes below, so queries use them.
models.CharField.register_lookup(Lower)

MAX_USER_AGENT_CHARS = 300

validate_code = RegexValidator(
    r"\A[a-z0-9][a-z0-9-]*\Z",
    "A code can contain the letters a to z, digits and hyphens, and must start with a letter or a "
    "digit.",
)


class Role(models.TextChoices):
    """What a user can do within their company; `worker` is a machine account."""

    ADMIN = "admin"
    AGENT = "agent"
    WORKER = "worker"


class Company(CachedModel, BaseModel):
    """A tenant; every user and every business row belongs to one."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="company", actions="created updated", company="id", label="name"
    )

    name = models.CharField(max_length=MAX_NAME_CHARS, validators=[validate_one_line])
    code = models.CharField(
        max_length=50,
        unique=True,
        validators=[validate_code],
        help_text="A short unique name, used in URLs and folder names.",
    )
    contact_email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)

    objects = CompanyQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        verbose_name_plural = "companies"

    def __str__(self) -> str:
        return self.name


class CompanyOwned(BaseModel):
    """Base of rows that belong to one company and are visible only to its users."""

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="+", editable=False)

    objects = CompanyOwnedQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        abstract = True


class User(SoftDeleteModel, AbstractBaseUser, PermissionsMixin):
    """A person, or a machine with the role `worker`.

    Incrementing `token_version` invalidates all access tokens of the user.
    """

    event_kind: ClassVar[EventKind] = EventKind(
        name="user",
        actions=(
            "created updated role_changed activated deactivated deleted password_changed"
            " password_reset_sent logins_ended sessions_ended admin_session_started"
            " admin_session_ended"
        ),
        audience=Audience.OWNER,
        owner="id",
        person="id",
        label="email",
        hidden=["password"],
    )

    email = models.EmailField(max_length=254)
    username = models.CharField(max_length=MAX_USERNAME_CHARS, validators=[validate_username])
    full_name = models.CharField(
        max_length=MAX_NAME_CHARS, blank=True, validators=[validate_one_line]
    )
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.AGENT)
    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="users")
    is_active = models.BooleanField("active", default=True)
    is_staff = models.BooleanField(
        "staff", default=False, help_text="Can sign in to this admin site."
    )
    token_version = models.PositiveIntegerField(default=0, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["username", "company"]

    class Meta(SoftDeleteModel.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                condition=Q(deleted_at=None),
                name="user_email_unique",
                violation_error_code="unique",
                violation_error_message="A user with this email already exists.",
            ),
            models.UniqueConstraint(
                Lower("username"),
                condition=Q(deleted_at=None),
                name="user_username_unique",
                violation_error_code="unique",
                violation_error_message="A user with this username already exists.",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=IMPORTED_PASSWORD, name="user_imported_password")
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.full_name or self.username

    def get_short_name(self) -> str:
        return self.username

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_agent(self) -> bool:
        return self.role == Role.AGENT

    @property
    def can_sign_in(self) -> bool:
        """Whether the account and its company are active.

        A superuser can sign in even if the company is not, so that they can activate it again.
        """
        is_live = self.is_active and self.deleted_at is None
        return is_live and (self.company.is_active or self.is_superuser)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row; after `set_password`, also revoke what the old password gave access to."""
        # `set_password` stores the raw password in `_password` until the row is saved.
        has_new_password = getattr(self, "_password", None) is not None
        is_changed = has_new_password and not self._state.adding
        with transaction.atomic(savepoint=False):
            super().save(*args, **kwargs)
            if is_changed:
                self.revoke_old_password()
                record("user.password_changed", by=current_user(), target=self)

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password and normalize_password(raw_password))

    def check_password(self, raw_password: str) -> bool:
        """Return whether the password is right; an outdated hash is then upgraded.

        Earlier hashes are of the password as it was typed, not of its normal form.
        """
        if self.password.startswith(RAW_BCRYPT_PREFIX):
            self.password = BCRYPT_PREFIX + self.password
        normal_form = normalize_password(raw_password)
        if super().check_password(normal_form):
            return True
        if normal_form == raw_password:
            return False
        stored = self.password
        is_correct = super().check_password(raw_password)
        if is_correct and self.password == stored:  # Django has not upgraded it
            self._replace_hash(make_password(normal_form))
        return is_correct

    def _replace_hash(self, new: str) -> None:
        """Store another hash of the same password, unless the password has changed meanwhile."""
        if User.objects.filter(pk=self.pk, password=self.password).update(password=new):
            self.password = new

    @property
    def has_imported_password(self) -> bool:
        return self.password.startswith((RAW_BCRYPT_PREFIX, BCRYPT_PREFIX))

    def revoke_tokens(self, **columns: Any) -> None:
        """Invalidate all access tokens and admin sessions, and set `columns`, with one UPDATE."""
        version = F("token_version") + 1
        row = User.objects.filter(pk=self.pk)
        row.update(token_version=version, updated_at=Now(), **columns)
        self.refresh_from_db()

    def revoke_old_password(self, *, keep_login: "Login | None" = None) -> None:
        """End the logins, admin sessions and mailed links, and notify the user by mail.

        With `keep_login`, that login and the admin sessions continue.
        """
        if keep_login is None:
            self.revoke_tokens()
        self.logins.exclude(pk=keep_login and keep_login.pk).end()
        self.revoke_links()
        Mail.objects.enqueue_to(self, MailKind.PASSWORD_CHANGED)

    def revoke_links(self) -> None:
        """Revoke the mailed links that set a password or an email."""
        for model in (PasswordReset, EmailChange):
            model.objects.revoke_for(User.objects.filter(pk=self.pk))

    def get_session_auth_hash(self) -> str:
        """Include `token_version`, so that admin sessions end together with the tokens."""
        return f"{super().get_session_auth_hash()}.{self.token_version}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Yield the same for the keys in `SECRET_KEY_FALLBACKS`."""
        for password_hash in super().get_session_auth_fallback_hash():
            yield f"{password_hash}.{self.token_version}"


class Login(BaseModel):
    """One sign-in of a user on one device.

    Access and refresh tokens contain the id of their login. A refresh token is valid for one
    `generation`, which each refresh increments.
    """

    event_kind: ClassVar[EventKind] = EventKind(
        name="login",
        actions="started ended",
        audience=Audience.OWNER,
        company="user.company_id",
        person="user_id",
    )

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="logins")
    generation = models.PositiveIntegerField(default=1, editable=False)
    rotated_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=MAX_USER_AGENT_CHARS, blank=True)

    objects = LoginQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["user", "expires_at"], name="login_user_expires_at")]

    def __str__(self) -> str:
        return f"{self.user_id} from {self.ip_address}"


class Invitation(CompanyOwned):
    """An invitation to join a company in a role, sent to an email address."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="invitation",
        actions="created accepted revoked",
        audience=Audience.ADMINS,
        label="email",
        person="id",
    )

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.AGENT)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"

    @property
    def status(self) -> str:
        """One of `accepted`, `revoked`, `expired` and `pending`."""
        if self.accepted_at:
            return "accepted"
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "pending"

    def accept(self) -> bool:
        """Accept a pending invitation; return False if it is not pending."""
        rows = Invitation.objects.pending().filter(pk=self.pk)
        return rows.update(accepted_at=Now(), updated_at=Now()) == 1

    def revoke(self) -> bool:
        """Revoke the invitation; return False if it was accepted or revoked before."""
        rows = Invitation.objects.filter(pk=self.pk, accepted_at=None, revoked_at=None)
        return rows.update(revoked_at=Now(), updated_at=Now()) == 1


class PasswordReset(Job):
    """A request to mail a password reset link to an address, and that link.

    The job, not the request, looks up the user. So the response time does not reveal whether the
    address is known.
    """

    # A queue of its own, because it would wait behind the messages of all mails.
    queue_name = "password-resets"

    email = models.EmailField(max_length=254)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    # Null until the link is mailed, because the unique constraint ignores nulls.
    token_hash = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001
    expires_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    objects = PasswordResetQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.email


class EmailChange(BaseModel):
    """A user's request to change their email, and the link that is mailed to the new address."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="email_change",
        actions="created confirmed",
        audience=Audience.OWNER,
        company="user.company_id",
        person="user_id",
        label="new_email",
    )

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    new_email = models.EmailField(max_length=254)
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    # Also set when the link is revoked.
    used_at = models.DateTimeField(null=True)

    objects = UserLinkQuerySet.as_manager()

    def __str__(self) -> str:
        return self.new_email


class MailKind(models.TextChoices):
    WELCOME = "welcome"
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    DEACTIVATED = "deactivated"
    EMAIL_CHANGE = "email_change"
    EMAIL_TAKEN = "email_taken"
    EMAIL_REQUESTED = "email_requested"
    EMAIL_CHANGED = "email_changed"


class Mail(CompanyOwned, Job):
    """A mail to one person; a worker retries it until the mail server accepts it."""

    event_kind: ClassVar[EventKind] = EventKind(
        name="mail", actions="requeued", audience=Audience.ADMINS, label="kind"
    )

    # With up to ten minutes between attempts, a mail is retried for about three days.
    max_attempts: ClassVar[int] = 450
    # Against a mail server that answers one byte at a time, which no timeout of a socket stops.
    time_limit: ClassVar[timedelta | None] = timedelta(minutes=1)
    queue_name = "mail"
    fairness_keys = ("company_id",)

    kind = models.CharField(max_length=20, choices=MailKind.choices)
    to = models.EmailField(max_length=254)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    invitation = models.ForeignKey(Invitation, models.CASCADE, null=True, related_name="+")
    password_reset = models.ForeignKey(PasswordReset, models.CASCADE, null=True, related_name="+")
    email_change = models.ForeignKey(EmailChange, models.CASCADE, null=True, related_name="+")

    objects = MailQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["to", "company", "kind", "created_at"], name="mail_to_created_at"),
            models.Index(
                fields=["company", "run_after"],
                condition=Q(status=JobStatus.QUEUED),
                name="mail_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.to}"
