from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.link_secrets import derive_secret, hash_secret
from accounts.models import Login, Mail, MailKind, PasswordReset, User
from accounts.services.errors import unusable_link_error
from common.events import record

RESET_LINK_LIFETIME = timedelta(hours=1)
MAX_RESET_MAILS_PER_HOUR = 5


@transaction.atomic
def change_password(
    user: User, *, password: str, by: User, keep_login: Login | None = None
) -> User:
    """Set a user's password and end their logins, except `keep_login`."""
    user.password = make_password(password)
    user.save(update_fields=["password", "updated_at"])
    user.revoke_old_password(keep_login=keep_login)
    record("user.password_changed", by=by, target=user)
    return user


@transaction.atomic
def reset_password(*, secret: str, password: str) -> User:
    """Set a password with the secret of a mailed link, which works once.

    Raises `ValidationError` if the link was used, has expired or does not exist.
    """
    reset = PasswordReset.objects.filter(token_hash=hash_secret(secret), expires_at__gt=Now())
    if not reset.filter(used_at=None).update(used_at=Now()):
        raise unusable_link_error("token", "This link was used, has expired or does not exist.")
    user = reset.select_related("user").get().user
    assert user is not None
    return change_password(user, password=password, by=user)


def send_password_reset_mail(reset: PasswordReset) -> None:
    """Queue the mail with the reset link, if an active user has the requested address."""
    user = User.objects.with_identifier(reset.email).filter(is_active=True).first()
    if user is None or _is_mail_limit_reached(user):
        return
    with transaction.atomic():
        PasswordReset.objects.filter(pk=reset.pk).update(
            user=user,
            token_hash=hash_secret(derive_secret(reset)),
            expires_at=timezone.now() + RESET_LINK_LIFETIME,
        )
        # The worker of an earlier run may have died after it queued the mail.
        if not Mail.objects.filter(password_reset=reset).exists():
            Mail.objects.enqueue_to(user, MailKind.PASSWORD_RESET, password_reset=reset)


def _is_mail_limit_reached(user: User) -> bool:
    """Return whether the user got so many mails that strangers may be flooding their mailbox."""
    mails = Mail.objects.filter(
        user=user,
        kind=MailKind.PASSWORD_RESET,
        created_at__gt=timezone.now() - timedelta(hours=1),
    )
    return mails.count() >= MAX_RESET_MAILS_PER_HOUR
