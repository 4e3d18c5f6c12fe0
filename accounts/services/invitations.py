from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import Throttled

from accounts.link_secrets import derive_secret, hash_secret
from accounts.models import Company, Invitation, Mail, MailKind, User
from accounts.services.links import unusable_link_error
from common.api.exceptions import Conflict
from common.events import record

INVITATION_LIFETIME = timedelta(days=7)
UNUSABLE_MESSAGE = "This invitation was used or revoked, has expired or does not exist."


@transaction.atomic
def create_invitation(*, by: User, company: Company, email: str, role: str) -> Invitation:
    """Mail an invitation link; it replaces an earlier pending invitation of the same address.

    Raises `Throttled` if the address got too many invitations from this company.
    """
    for earlier in Invitation.objects.pending().filter(company=company, email=email):
        if earlier.revoke():
            record("invitation.revoked", by=by, target=earlier)
    invitation = Invitation(company=company, email=email, role=role, invited_by=by)
    invitation.token_hash = hash_secret(derive_secret(invitation))
    invitation.expires_at = timezone.now() + INVITATION_LIFETIME
    invitation.save()
    mails, kind = Mail.objects, MailKind.INVITATION
    if not mails.enqueue_limited(company.pk, kind, email, invitation=invitation):
        raise _too_many_mails(mails.get_free_at(company.pk, kind, email))
    record("invitation.created", by=by, target=invitation)
    return invitation


@transaction.atomic
def revoke_invitation(invitation: Invitation, *, by: User) -> None:
    """Revoke an invitation; raise `Conflict` if it was accepted or revoked before."""
    if not invitation.revoke():
        raise Conflict("This invitation was already accepted or revoked.")
    record("invitation.revoked", by=by, target=invitation)


def get_pending_invitation(secret: str) -> Invitation:
    """Return the pending invitation of a mailed link, with its company.

    Raises `ValidationError` if there is none, if its inviter is no longer an admin, or if the
    company is inactive.
    """
    rows = Invitation.objects.pending().with_authorized_inviter().select_related("company")
    invitation = rows.filter(token_hash=hash_secret(secret), company__is_active=True).first()
    if invitation is None:
        raise unusable_link_error("invitation", UNUSABLE_MESSAGE)
    return invitation


def get_invitation_of(*, secret: str, email: str) -> Invitation:
    """Return the pending invitation; raise `ValidationError` if it was sent to another address."""
    invitation = get_pending_invitation(secret)
    if email and email != invitation.email:
        raise unusable_link_error("email", "This invitation was sent to another address.")
    return invitation


def accept_invitation(*, secret: str, email: str) -> Invitation:
    """Mark the invitation of a mailed link as accepted; the caller creates the user.

    Raises `ValidationError` if it is not pending or was sent to another address.
    """
    invitation = get_invitation_of(secret=secret, email=email)
    if not invitation.accept():
        raise unusable_link_error("invitation", UNUSABLE_MESSAGE)
    return invitation


def _too_many_mails(free_at: datetime | None) -> Throttled:
    wait = (free_at - timezone.now()).total_seconds() if free_at else 1
    return Throttled(wait, "This address got several invitations from your company today.")
