import secrets
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.identifiers import generate_username, normalize_username
from accounts.models import Company, EmailChange, Mail, MailKind, PasswordReset, User
from accounts.services.passwords import change_password
from common.api.exceptions import Conflict
from common.events import find_changes, record


class UserChanges(TypedDict, total=False):
    """The columns of a user that `update_user` can write directly."""

    email: str
    username: str
    full_name: str
    company: Company
    is_staff: bool
    is_superuser: bool


@transaction.atomic
def create_user(
    *,
    by: User | None,
    email: str,
    password: str | None,
    company: Company,
    role: str,
    username: str = "",
    full_name: str = "",
    is_active: bool = True,
    send_welcome_mail: bool = True,
) -> User:
    """Create a user; without a `username`, a free one is generated from the email.

    An active user gets a welcome mail, or the mail with a password link if `password` is None.
    """
    fields = {"full_name": full_name, "company": company, "role": role, "is_active": is_active}
    if username:
        fields["username"] = normalize_username(username)
        user = User.objects.create_user(email=email, password=password, **fields)
    else:
        user = _create_with_generated_username(email=email, password=password, **fields)
    record("user.created", by=by, target=user)
    if is_active and password is None:
        PasswordReset.objects.enqueue(email=user.email)
    elif is_active and send_welcome_mail:
        Mail.objects.enqueue_to(user, MailKind.WELCOME)
    return user


@transaction.atomic
def update_user(
    user: User,
    *,
    by: User | None,
    role: str | None = None,
    is_active: bool | None = None,
    password: str | None = None,
    **changes: Unpack[UserChanges],
) -> User:
    """Write the changed fields of a user; role, activity and password apply from the next request.

    A changed email invalidates the links that were mailed before, and the old address is notified.
    """
    old_email = user.email
    if password:  # first, because the hash must not wait while the row is locked
        change_password(user, password=password, by=by)
    if changes:
        _write_columns(user, changes, by=by)
    if changes.get("email", old_email) != old_email:
        user.revoke_links()
        kind = MailKind.EMAIL_CHANGED
        Mail.objects.enqueue_limited(user.company_id, kind, old_email, user=user)
    if role is not None and role != user.role:
        change_role(user, role=role, by=by)
    if is_active is not None and is_active != user.is_active:
        (activate_user if is_active else deactivate_user)(user, by=by)
    user.refresh_from_db()
    return user


def _write_columns(user: User, values: UserChanges, *, by: User | None) -> None:
    changes = find_changes(user, values)
    User.objects.filter(pk=user.pk).update(**values, updated_at=Now())
    for name, value in values.items():
        setattr(user, name, value)
    if changes:
        record("user.updated", by=by, target=user, changes=changes)


@transaction.atomic
def change_role(user: User, *, role: str, by: User | None) -> User:
    """Give a user another role; raise `Conflict` for the company's last active admin."""
    _lock_company(user)
    user.refresh_from_db()
    if changes := find_changes(user, {"role": role}):
        _check_other_admin_exists(user)
        user.revoke_tokens(role=role)
        EmailChange.objects.revoke_for(User.objects.filter(pk=user.pk))
        record("user.role_changed", by=by, target=user, changes=changes)
    return user


@transaction.atomic
def deactivate_user(user: User, *, by: User | None) -> User:
    """End a user's logins and refuse their tokens; does nothing if they are inactive already.

    Raises `Conflict` for the company's last active admin.
    """
    _lock_company(user)
    user.refresh_from_db()
    if user.is_active:
        _check_other_admin_exists(user)
        user.revoke_tokens(is_active=False)
        user.revoke_links()
        user.logins.end()
        Mail.objects.enqueue_to(user, MailKind.DEACTIVATED)
        record("user.deactivated", by=by, target=user)
    return user


@transaction.atomic
def activate_user(user: User, *, by: User | None) -> User:
    """Activate a user again; their old logins and reset links stay ended."""
    changed = User.objects.filter(pk=user.pk, is_active=False).update(
        is_active=True, updated_at=Now()
    )
    if changed:
        record("user.activated", by=by, target=user)
    user.refresh_from_db()
    return user


@transaction.atomic
def delete_user(user: User, *, by: User) -> None:
    """Mark a user as deleted; another user can then take their email and username.

    Raises `Conflict` for the company's last active admin.
    """
    _lock_company(user)
    _check_other_admin_exists(user)
    user.revoke_tokens(is_active=False, deleted_at=Now())
    user.revoke_links()
    user.logins.end()
    record("user.deleted", by=by, target=user)


def _create_with_generated_username(*, email: str, password: str | None, **fields: Any) -> User:
    """Create the user; if a parallel request takes the generated username, append random digits."""
    username = generate_username(email, is_taken=_is_username_taken)
    try:
        with transaction.atomic():
            return User.objects.create_user(
                email=email, password=password, username=username, **fields
            )
    except IntegrityError as error:
        if "user_username_unique" not in str(error):
            raise
    username = f"{username}-{secrets.token_hex(4)}"
    return User.objects.create_user(email=email, password=password, username=username, **fields)


def _is_username_taken(username: str) -> bool:
    return User.objects.live().filter(username__lower=username.lower()).exists()


def _lock_company(user: User) -> None:
    """Serialise changes of a company's admins, so that two at once can't remove the last one."""
    Company.objects.select_for_update().get(pk=user.company_id)


def _check_other_admin_exists(user: User) -> None:
    """Raise `Conflict` if the user is the company's last active admin."""
    admins = User.objects.active_admins().filter(company_id=user.company_id)
    if admins.filter(pk=user.pk).exists() and not admins.exclude(pk=user.pk).exists():
        raise Conflict(
            "This is the company's last active admin. Make another user an admin first.",
            code="last_admin",
        )
