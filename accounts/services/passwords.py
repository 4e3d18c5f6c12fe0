from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from accounts.hashing_slot import hashing_slot
from accounts.identifiers import normalize_password
from accounts.link_secrets import derive_secret, hash_secret
from accounts.models import Login, Mail, MailKind, PasswordReset, User
from accounts.services.errors import unusable_link_error
from common.events import record

RESET_LINK_LIFETIME = timedelta(hours=1)


@transaction.atomic
def change_password(
    user: User, *, password: str, by: User, keep_login: Login | None = None
) -> User:
    """Set a user's password and end their logins, except `keep_login`."""
    user.password = make_password(normalize_password(password))
    user.save(update_fields=["password", "updated_at"])
    user.revoke_old_password(keep_login=keep_login)
    record("user.password_changed", by=by, target=user)
    return user


@transaction.atomic
def reset_password(*, secret: str, password: str) -> User:
    """Set a password with the secret of a mailed link, which works once.

    Raises `ValidationError` if the link was used or revoked, has expired or does not exist, or if
    its user can't sign in.
    """
    with hashing_slot():
        user = _use_reset_link(secret)
        return change_password(user, password=password, by=user)


@transaction.atomic
def send_password_reset_mail(reset: PasswordReset) -> None:
    """Queue the mail with the reset link, if a user who can sign in has the requested address."""
    # The lock keeps a deactivation from passing between the check and the new link.
    users = User.objects.with_identifier(reset.email).select_related("company")
    user = users.select_for_update(of=("self",)).first()
    # The worker of an earlier run may have died after it queued the mail.
    if user is None or not user.can_sign_in or Mail.objects.filter(password_reset=reset).exists():
        return
    if Mail.objects.enqueue_to(user, MailKind.PASSWORD_RESET, password_reset=reset):
        PasswordReset.objects.filter(pk=reset.pk).update(
            user=user,
            token_hash=hash_secret(derive_secret(reset)),
            expires_at=timezone.now() + RESET_LINK_LIFETIME,
        )


def _use_reset_link(secret: str) -> User:
    """Mark the link as used and return its user, whose row stays locked."""
    resets = PasswordReset.objects.filter(
        token_hash=hash_secret(secret), expires_at__gt=Now(), used_at=None
    )
    # The user's row is locked first, as by a deactivation, which revokes the links then.
    users = User.objects.filter(pk__in=resets.values("user")).select_related("company")
    user = users.select_for_update(of=("self",)).first()
    if user is None or not user.can_sign_in or not resets.update(used_at=Now()):
        raise _unusable_link()
    return user


def _unusable_link() -> ValidationError:
    return unusable_link_error("token", "This link was used, has expired or does not exist.")
