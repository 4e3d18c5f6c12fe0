"""Writes of more than one row, or with effects elsewhere."""

import re
import secrets

from django.conf import settings
from django.db import transaction
from django.db.models import F
from rest_framework.exceptions import PermissionDenied

from accounts.identifiers import normalize_username, username_from_email
from accounts.models import Company, Role, User

DEFAULT_COMPANY_NAME = "Default Company"


def default_company() -> Company:
    """The company that uninvited people join where `SIGNUP` is `open`."""
    company, _ = Company.objects.get_or_create(
        code=settings.DEFAULT_COMPANY_CODE, defaults={"name": DEFAULT_COMPANY_NAME}
    )
    return company


@transaction.atomic
def sign_up(
    *, email: str, password: str, username: str = "", full_name: str = "", company_name: str = ""
) -> User:
    """Create the account of a person who comes uninvited, as `SIGNUP` has it.

    `open`: an agent in the default company. `company`: the admin of a new company. `invite`:
    refused with `PermissionDenied`.
    """
    if settings.SIGNUP == "invite":
        raise PermissionDenied("Sign-up needs an invitation.", code="invitation_required")
    if settings.SIGNUP == "company":
        company, role = found_company(name=company_name or f"{email}'s company"), Role.ADMIN
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


def create_user(
    *,
    email: str,
    password: str | None,
    company: Company,
    role: Role,
    username: str = "",
    full_name: str = "",
) -> User:
    """Create an account; its username is made of the email where none is given."""
    username = normalize_username(username) or username_from_email(email, is_taken=_username_taken)
    return User.objects.create_user(
        email=email,
        password=password,
        username=username,
        full_name=full_name,
        company=company,
        role=role,
    )


def found_company(*, name: str, contact_email: str = "") -> Company:
    """Create a company with a free code that is made of its name."""
    code = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "company"
    if Company.objects.filter(code=code).exists():
        code = f"{code}-{secrets.token_hex(3)}"
    return Company.objects.create(name=name[:200], code=code, contact_email=contact_email)


@transaction.atomic
def deactivate(user: User, *, by: User) -> User:
    """Close an account: its logins end and its tokens are refused from the next request on."""
    User.objects.filter(pk=user.pk).update(is_active=False, token_version=F("token_version") + 1)
    user.logins.end()
    user.refresh_from_db()
    return user


def activate(user: User, *, by: User) -> User:
    """Open a closed account again; its old logins stay ended."""
    User.objects.filter(pk=user.pk).update(is_active=True)
    user.refresh_from_db()
    return user


def _username_taken(username: str) -> bool:
    return User.objects.live().filter(username__lower=username.lower()).exists()
