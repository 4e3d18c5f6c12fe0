from django.conf import settings
from django.db import transaction
from rest_framework.exceptions import PermissionDenied

from accounts.identifiers import MAX_NAME_CHARS
from accounts.models import Company, Role, User
from accounts.services.companies import create_company, get_default_company
from accounts.services.invitations import accept_invitation, get_invitation_of
from accounts.services.users import create_user
from common.events import record


def check_right_to_sign_up(*, invitation: str, email: str) -> None:
    """Raise the error of a sign-up that needs an invitation, or whose invitation is unusable.

    The answer does not depend on the users that exist. An empty `email` fits every invitation.
    """
    if invitation:
        get_invitation_of(secret=invitation, email=email)
    elif settings.SIGNUP == "invite":
        raise _invitation_required()


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
    """Create the account of a visitor, with the secret of an invitation or as `SIGNUP` allows.

    `open`: an agent of the default company. `company`: the admin of a new company. `invite`:
    raises `PermissionDenied`. An unusable invitation raises `ValidationError`.
    """
    accepted = accept_invitation(secret=invitation, email=email) if invitation else None
    if accepted:
        company, role = accepted.company, Role(accepted.role)
    else:
        # Not the whole address: everyone can read the names of companies with products.
        company, role = _get_company_and_role(company_name or email.partition("@")[0])
    user = create_user(
        by=None,
        email=email,
        password=password,
        username=username,
        full_name=full_name,
        company=company,
        role=role,
    )
    if accepted:
        record("invitation.accepted", by=user, target=accepted)
    return user


def _get_company_and_role(company_name: str) -> tuple[Company, Role]:
    """Return the company, which may be new, and the role of a sign-up without an invitation."""
    if settings.SIGNUP == "invite":
        raise _invitation_required()
    if settings.SIGNUP == "company":
        return create_company(by=None, name=company_name[:MAX_NAME_CHARS]), Role.ADMIN
    return get_default_company(), Role.AGENT


def _invitation_required() -> PermissionDenied:
    return PermissionDenied("Sign-up needs an invitation.", code="invitation_required")
