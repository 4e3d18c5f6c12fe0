"""Change the own email address, by a link that is mailed to the new one."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ErrorDetail, Throttled, ValidationError

from accounts.link_secrets import derive_secret, hash_secret
from accounts.models import EmailChange, Mail, MailKind, User
from accounts.services.links import use_link
from accounts.services.users import update_user
from common.api.exceptions import Conflict
from common.events import record

EMAIL_LINK_LIFETIME = timedelta(days=1)
# More would help to send mails to many strangers.
MAX_EMAIL_CHANGES_PER_DAY = 10


@transaction.atomic
def request_email_change(user: User, *, new_email: str, by: User) -> None:
    """Mail a link to the new address and a notice to the old one; earlier links end.

    The owner of an address that another account has gets a notice instead of a link. Raises
    `Throttled` if the user asked too often, or if the new address got too many mails.
    """
    _lock_unchanged(user)
    _check_daily_limit(user)
    EmailChange.objects.revoke_for(User.objects.filter(pk=user.pk))
    change = EmailChange(user=user, new_email=new_email)
    change.token_hash = hash_secret(derive_secret(change))
    change.expires_at = timezone.now() + EMAIL_LINK_LIFETIME
    change.save(force_insert=True)
    _send_mail_to_new_address(change)
    Mail.objects.enqueue_to(user, MailKind.EMAIL_REQUESTED)
    record("email_change.created", by=by, target=change)


@transaction.atomic
def confirm_email_change(*, secret: str) -> User:
    """Change the email to the address whose link contains the secret; logins continue.

    Raises `ValidationError` if the link can't be used or another account has the address by now.
    """
    user = use_link(EmailChange.objects.all(), secret)
    change = EmailChange.objects.get(token_hash=hash_secret(secret))
    try:
        update_user(user, by=user, email=change.new_email)
    except IntegrityError:
        message = "Another account has this address by now."
        raise ValidationError({"token": [ErrorDetail(message, code="unique")]}) from None
    record("email_change.confirmed", by=user, target=change)
    return user


def _lock_unchanged(user: User) -> None:
    """Lock the user's row; raise `Conflict` if what revokes links has happened since the sign-in.

    The lock also makes parallel requests count each other.
    """
    rows = User.objects.filter(pk=user.pk, password=user.password, token_version=user.token_version)
    if rows.select_for_update().first() is None:
        raise Conflict("Your account was changed at the same time. Sign in and try again.")


def _send_mail_to_new_address(change: EmailChange) -> None:
    """Queue the mail with the link, or the notice to the owner of the address.

    The response and the number of queries are the same, so that they don't show who has an account.
    """
    user, mails = change.user, Mail.objects
    is_taken = User.objects.with_identifier(change.new_email).exclude(pk=user.pk).exists()
    kind = MailKind.EMAIL_TAKEN if is_taken else MailKind.EMAIL_CHANGE
    to = change.new_email
    if not mails.enqueue_limited(user.company_id, kind, to, user=user, email_change=change):
        free_at = mails.get_free_at(user.company_id, kind, to) or timezone.now()
        wait = (free_at - timezone.now()).total_seconds()
        raise Throttled(wait, "This address got several mails from your company today.")


def _check_daily_limit(user: User) -> None:
    since = timezone.now() - timedelta(days=1)
    recent = EmailChange.objects.filter(user=user, created_at__gt=since).order_by("-created_at")
    times = list(recent.values_list("created_at", flat=True)[:MAX_EMAIL_CHANGES_PER_DAY])
    if len(times) == MAX_EMAIL_CHANGES_PER_DAY:
        wait = (times[-1] - since).total_seconds()
        raise Throttled(wait, "You asked for several changes of your email today.")
