"""Writes of more than one row, or with effects elsewhere."""

import re
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.exceptions import ErrorDetail, PermissionDenied, ValidationError

from accounts.identifiers import normalize_username, username_from_email
from accounts.link_secrets import hash_of, secret_of
from accounts.models import Company, Invitation, Login, Mail, PasswordReset, Role, User
from common.api.exceptions import Conflict

DEFAULT_COMPANY_NAME = "Default Company"
INVITATION_LIFETIME = timedelta(days=7)
RESET_LIFETIME = timedelta(hours=1)
MAILS_AN_HOUR = 5


def default_company() -> Company:
    """The company that uninvited people join where `SIGNUP` is `open`."""
    company, _ = Company.objects.get_or_create(
        code=settings.DEFAULT_COMPANY_CODE, defaults={"name": DEFAULT_COMPANY_NAME}
    )
    return company


@transaction.atomic
def sign_up(
    *,
    email: str,
    password: str,
    username: str = "",
    full_name: str = "",
    company_name: str = "",
    invitation: str = "",
) -> User:
    """Create the account of a person who comes by an invitation or as `SIGNUP` has it.

    `open`: an agent in the default company. `company`: the admin of a new company. `invite`:
    refused with `PermissionDenied`. An invitation that can't be used is a `ValidationError`.
    """
    if invitation:
        company, role = _accept(invitation, email=email)
    elif settings.SIGNUP == "invite":
        raise PermissionDenied("Sign-up needs an invitation.", code="invitation_required")
    elif settings.SIGNUP == "company":
        company, role = found_company(name=company_name or email), Role.ADMIN
    else:
        company, role = default_company(), Role.AGENT
    return create_user(
        email=email,
        password=password,
        username=username,
        full_name=full_name,
        company=company,
        role=role,
    )


@transaction.atomic
def create_user(
    *,
    email: str,
    password: str | None,
    company: Company,
    role: Role,
    username: str = "",
    full_name: str = "",
    is_active: bool = True,
    welcome: bool = True,
) -> User:
    """Create an account; its username is made of the email where none is given.

    The person gets a welcome mail, or with no password the mail by which they choose one.
    """
    fields = {"full_name": full_name, "company": company, "role": role, "is_active": is_active}
    if username:
        fields["username"] = normalize_username(username)
        user = User.objects.create_user(email=email, password=password, **fields)
    else:
        user = _create_with_free_username(email=email, password=password, **fields)
    if not is_active:
        return user
    if password is None:
        PasswordReset.objects.enqueue(email=user.email)
    elif welcome:
        _mail(Mail.Kind.WELCOME, user)
    return user


def _create_with_free_username(*, email: str, password: str | None, **fields: Any) -> User:
    """Of two people whose emails begin alike, and who come at the same instant, both get a name."""
    name = username_from_email(email, is_taken=_username_taken)
    try:
        with transaction.atomic():
            return User.objects.create_user(email=email, password=password, username=name, **fields)
    except IntegrityError as error:
        if "user_username_unique" not in str(error):
            raise
    name = f"{name}-{secrets.token_hex(4)}"
    return User.objects.create_user(email=email, password=password, username=name, **fields)


def found_company(*, name: str, contact_email: str = "") -> Company:
    """Create a company with a free code that is made of its name."""
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "company"
    fields = {"name": name[:200], "contact_email": contact_email}
    try:
        with transaction.atomic():
            return Company.objects.create(code=base, **fields)
    except IntegrityError:
        return Company.objects.create(code=f"{base}-{secrets.token_hex(4)}", **fields)


@transaction.atomic
def update_user(user: User, *, by: User, **fields: Any) -> User:
    """Change an account; role, activity and password take effect on its next request."""
    password = fields.pop("password", None)
    role, is_active = fields.pop("role", user.role), fields.pop("is_active", user.is_active)
    if fields:
        User.objects.filter(pk=user.pk).update(**fields, updated_at=Now())
    if fields.get("email", user.email) != user.email:
        # The old address may be in other hands by now, and links were mailed to it.
        PasswordReset.objects.filter(user=user, used_at=None).update(used_at=Now())
    if role != user.role:
        set_role(user, role, by=by)
    if is_active != user.is_active:
        (activate if is_active else deactivate)(user, by=by)
    if password:
        set_password(user, password, by=by)
    user.refresh_from_db()
    return user


@transaction.atomic
def set_role(user: User, role: str, *, by: User) -> User:
    """Give a person another role; the last active admin keeps theirs (`Conflict`)."""
    _lock_company(user)
    user.refresh_from_db()
    if role != user.role:
        _refuse_loss_of_last_admin(user)
        _change(user, role=role)
    return user


@transaction.atomic
def deactivate(user: User, *, by: User) -> User:
    """Close an account: its logins end and its tokens are refused from the next request on.

    The company's last active admin can't be closed (`Conflict`). Closing twice is no error.
    """
    _lock_company(user)
    user.refresh_from_db()
    if user.is_active:
        _refuse_loss_of_last_admin(user)
        _change(user, is_active=False)
        user.logins.end()
        _mail(Mail.Kind.DEACTIVATED, user)
    return user


def activate(user: User, *, by: User) -> User:
    """Open a closed account again; its old logins stay ended."""
    User.objects.filter(pk=user.pk).update(is_active=True, updated_at=Now())
    user.refresh_from_db()
    return user


@transaction.atomic
def delete_user(user: User, *, by: User) -> None:
    """Mark an account as deleted; its email and username are free again, its rows stay."""
    _lock_company(user)
    _refuse_loss_of_last_admin(user)
    _change(user, is_active=False, deleted_at=Now())
    user.logins.end()


@transaction.atomic
def set_password(user: User, password: str, *, by: User, keep: Login | None = None) -> User:
    """Give a person another password and end their logins, but for the one to `keep`."""
    user.password = make_password(password)
    user.save(update_fields=["password", "updated_at"])
    close_what_the_old_password_opened(user, keep=keep)
    return user


def end_all_logins(user: User) -> None:
    """End a person's logins and their sessions in the admin site."""
    _change(user)
    user.logins.end()


def close_what_the_old_password_opened(user: User, *, keep: Login | None = None) -> None:
    """Logins, sessions and mailed links; and tell the person."""
    if keep is None:
        _change(user)
    user.logins.exclude(pk=keep and keep.pk).end()
    PasswordReset.objects.filter(user=user, used_at=None).update(used_at=Now())
    _mail(Mail.Kind.PASSWORD_CHANGED, user)


def offer_password_reset(reset: PasswordReset) -> None:
    """Mail the link by which the person with this address, if there is one, sets a password."""
    user = User.objects.with_identifier(reset.email).filter(is_active=True).first()
    if user is None or _has_mails_enough(user):
        return
    with transaction.atomic():
        PasswordReset.objects.filter(pk=reset.pk).update(
            user=user,
            token_hash=hash_of(secret_of(reset)),
            expires_at=timezone.now() + RESET_LIFETIME,
        )
        # A second run, after a worker died in the first, finds the mail queued already.
        if not Mail.objects.filter(password_reset=reset).exists():
            _mail(Mail.Kind.PASSWORD_RESET, user, password_reset=reset)


def _has_mails_enough(user: User) -> bool:
    """Whether strangers have had so many links mailed to somebody that it begins to annoy."""
    an_hour_ago = timezone.now() - timedelta(hours=1)
    recent = Mail.objects.filter(user=user, kind=Mail.Kind.PASSWORD_RESET)
    return recent.filter(created_at__gt=an_hour_ago).count() >= MAILS_AN_HOUR


@transaction.atomic
def redeem_password_reset(secret: str, password: str) -> User:
    """Set a password by a mailed link; it works once and for an hour (`ValidationError`)."""
    reset = PasswordReset.objects.filter(token_hash=hash_of(secret), expires_at__gt=Now())
    if not reset.filter(used_at=None).update(used_at=Now()):
        raise unusable("token", "This link was used, has expired or was never made.")
    user = reset.select_related("user").get().user
    assert user is not None
    return set_password(user, password, by=user)


@transaction.atomic
def invite(*, by: User, company: Company, email: str, role: str) -> Invitation:
    """Mail somebody a link to join a company; an earlier open invitation is replaced."""
    earlier = Invitation.objects.open().filter(company=company, email=email)
    earlier.update(revoked_at=Now(), updated_at=Now())
    invitation = Invitation(company=company, email=email, role=role, invited_by=by)
    invitation.token_hash = hash_of(secret_of(invitation))
    invitation.expires_at = timezone.now() + INVITATION_LIFETIME
    invitation.save()
    Mail.objects.enqueue(
        company=company, kind=Mail.Kind.INVITATION, to=email, invitation=invitation
    )
    return invitation


def revoke(invitation: Invitation, *, by: User) -> None:
    """Make an invitation worthless; one that was accepted is a `Conflict`."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if not open_ones.update(revoked_at=Now(), updated_at=Now()):
        raise Conflict("This invitation was accepted or revoked already.")


def find_invitation(secret: str) -> Invitation:
    """The open invitation behind a mailed link, with its company; else a `ValidationError`."""
    rows = Invitation.objects.open().from_those_who_may_invite().select_related("company")
    invitation = rows.filter(token_hash=hash_of(secret), company__is_active=True).first()
    if invitation is None:
        raise unusable("invitation", "This invitation was used, revoked, or has expired.")
    return invitation


def _accept(secret: str, *, email: str) -> tuple[Company, Role]:
    invitation = find_invitation(secret)
    if email != invitation.email:
        raise unusable("email", "This invitation was sent to another address.")
    mine = Invitation.objects.open().filter(pk=invitation.pk)
    if not mine.update(accepted_at=Now(), updated_at=Now()):
        raise unusable("invitation", "This invitation was used, revoked, or has expired.")
    return invitation.company, Role(invitation.role)


def unusable(field: str, message: str) -> ValidationError:
    return ValidationError({field: [ErrorDetail(message, code="unusable")]})


def _change(user: User, **columns: Any) -> None:
    """Write to an account and withdraw the access tokens that it has."""
    version = F("token_version") + 1
    User.objects.filter(pk=user.pk).update(token_version=version, updated_at=Now(), **columns)
    user.refresh_from_db()


def _lock_company(user: User) -> None:
    """One change at a time of who runs a company, so that two can't lose its last admin."""
    Company.objects.select_for_update().get(pk=user.company_id)


def _refuse_loss_of_last_admin(user: User) -> None:
    admins = User.objects.active_admins().filter(company_id=user.company_id)
    if admins.filter(pk=user.pk).exists() and not admins.exclude(pk=user.pk).exists():
        raise Conflict("This is the company's last active admin.", code="last_admin")


def _mail(kind: str, user: User, **about: Any) -> None:
    Mail.objects.enqueue(company_id=user.company_id, kind=kind, to=user.email, user=user, **about)


def _username_taken(username: str) -> bool:
    return User.objects.live().filter(username__lower=username.lower()).exists()
