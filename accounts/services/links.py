"""The links that are mailed to users; each works once."""

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from rest_framework.exceptions import ErrorDetail, ValidationError

from accounts.link_secrets import hash_secret
from accounts.models import User


def unusable_link_error(field: str, message: str) -> ValidationError:
    """Return the error for a mailed link that can't be used, or not with this `field`."""
    return ValidationError({field: [ErrorDetail(message, code="unusable")]})


def use_link(links: QuerySet[Any], secret: str) -> User:
    """Mark the link with this secret as used and return its user, whose row stays locked.

    Raises `ValidationError` if the link was used or revoked, has expired or does not exist, or if
    its user can't sign in. `links` are rows of a `UserLinkQuerySet`.
    """
    link = links.usable().filter(token_hash=hash_secret(secret))  # type: ignore[attr-defined]
    # The user's row is locked first, as by a deactivation, which revokes the links then.
    users = User.objects.filter(pk__in=link.values("user")).select_related("company")
    user = users.select_for_update(of=("self",)).first()
    if user is None or not user.can_sign_in or not link.update(used_at=Now()):
        raise unusable_link_error("token", "This link was used, has expired or does not exist.")
    return user
