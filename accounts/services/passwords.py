from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts.hashing_slot import hashing_slot
from accounts.identifiers import normalize_password
from accounts.link_secrets import derive_secret, hash_secret
from accounts.models import Login, Mail, MailKind, PasswordReset, User
from accounts.services.links import use_link
from common.events import record

RESET_LINK_LIFETIME = timedelta(hours=1)


@transaction.atomic
def change_password(
    user: User, *, password: str, by: User | None, keep_login: Login | None = None
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

    Raises the errors of `use_link`.
    """
    with hashing_slot():
        user = use_link(PasswordReset.objects.all(), secret)
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
        record("user.password_reset_sent", by=None, target=user)
