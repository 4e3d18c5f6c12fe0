from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from accounts.identifiers import USERNAME_LENGTH, validate_one_line, validate_username
from accounts.querysets import (
    CompanyOwnedQuerySet,
    CompanyQuerySet,
    InvitationQuerySet,
    LoginQuerySet,
    MailQuerySet,
    UserManager,
)
from common.caching.invalidation import CachedModel
from common.jobs import Job
from common.models import BaseModel, SoftDeleteModel

# `email__lower=…` asks in the words of the unique indexes below, so that they serve it.
models.CharField.register_lookup(Lower)

validate_code = RegexValidator(
    r"\A[a-z0-9][a-z0-9-]*\Z", "A code holds letters a to z, digits and -, and begins with no -."
)


class Role(models.TextChoices):
    """What a person may do within their company; `worker` is a machine account."""

    ADMIN = "admin"
    AGENT = "agent"
    WORKER = "worker"


class Company(CachedModel, BaseModel):
    """The tenant: every person and every row belongs to one."""

    name = models.CharField(max_length=200, validators=[validate_one_line])
    code = models.CharField(
        max_length=50,
        unique=True,
        validators=[validate_code],
        help_text="Short and unique; it names the company in URLs and folders.",
    )
    contact_email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)

    objects = CompanyQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        verbose_name_plural = "companies"

    def __str__(self) -> str:
        return self.name


class CompanyOwned(BaseModel):
    """A row of one company, seen by that company's people alone."""

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="+", editable=False)

    objects = CompanyOwnedQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        abstract = True


class User(SoftDeleteModel, AbstractBaseUser, PermissionsMixin):
    """A person, or a machine with the role `worker`.

    A change of `token_version` makes all access tokens of this user worthless at once.
    """

    email = models.EmailField(max_length=254)
    username = models.CharField(max_length=USERNAME_LENGTH, validators=[validate_username])
    full_name = models.CharField(max_length=200, blank=True, validators=[validate_one_line])
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.AGENT)
    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="users")
    is_active = models.BooleanField("active", default=True)
    is_staff = models.BooleanField(
        "staff", default=False, help_text="May sign in to this admin site."
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
                violation_error_message="A user with this email exists already.",
            ),
            models.UniqueConstraint(
                Lower("username"),
                condition=Q(deleted_at=None),
                name="user_username_unique",
                violation_error_code="unique",
                violation_error_message="A user with this username exists already.",
            ),
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        """However a password is changed, what the old one has opened is closed with it."""
        # Where Django keeps a password between `set_password` and `save`.
        is_changed = getattr(self, "_password", None) is not None and not self._state.adding
        super().save(*args, **kwargs)
        if is_changed:
            from accounts.services import close_what_the_old_password_opened

            close_what_the_old_password_opened(self)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Sessions of the admin site end with the tokens."""
        of_password = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        return f"{of_password}.{self.token_version}"

    def check_password(self, raw_password: str) -> bool:
        # The old services stored what bcrypt gives, without Django's prefix.
        if self.password.startswith("$2"):
            self.password = f"bcrypt${self.password}"
        return super().check_password(raw_password)


class Login(BaseModel):
    """One sign-in of one person on one device, and the generation of its refresh token.

    Access tokens name their login; a refresh token is good for one generation (`accounts.tokens`).
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="logins")
    generation = models.PositiveIntegerField(default=1, editable=False)
    rotated_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)

    objects = LoginQuerySet.as_manager()

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["user", "expires_at"], name="login_of_user")]

    def __str__(self) -> str:
        return f"{self.user_id} from {self.ip_address}"


class Invitation(CompanyOwned):
    """Asks the holder of an email address to join a company in a role."""

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
        """`accepted`, `revoked`, `expired` or `pending`."""
        if self.accepted_at:
            return "accepted"
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "pending"


class PasswordReset(Job):
    """Somebody asked for a new password for an email address.

    Whether a person has that address is looked up by the job and not by the request, which
    therefore takes as long for an unknown address as for a known one.
    """

    email = models.EmailField(max_length=254)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    # Null, because many rows without one must not break its uniqueness.
    token_hash = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001
    expires_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.email


class Mail(CompanyOwned, Job):
    """A mail to one person, sent by a worker, again and again until the mail server takes it."""

    class Kind(models.TextChoices):
        WELCOME = "welcome"
        INVITATION = "invitation"
        PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
        PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
        DEACTIVATED = "deactivated"

    # With ten minutes between the later tries this bears with a mail server for three days.
    max_attempts: ClassVar[int] = 450

    kind = models.CharField(max_length=20, choices=Kind.choices)
    to = models.EmailField(max_length=254)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    invitation = models.ForeignKey(Invitation, models.CASCADE, null=True, related_name="+")
    password_reset = models.ForeignKey(PasswordReset, models.CASCADE, null=True, related_name="+")

    objects = MailQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(CompanyOwned.Meta, Job.Meta):
        pass

    def __str__(self) -> str:
        return f"{self.kind} to {self.to}"
