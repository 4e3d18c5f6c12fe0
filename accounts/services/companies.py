import re
import secrets
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import transaction

from accounts.models import Company, EmailChange, PasswordReset, User
from common.events import find_changes, record

DEFAULT_COMPANY_NAME = "Default Company"
MAX_GENERATED_WORDS_CHARS = 40
CODE_TAIL_CHARS = 4
# Without the letters and digits that are easily confused.
CODE_TAIL_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class CompanyFields(TypedDict, total=False):
    """The columns of a company that its admin or a superuser can write."""

    name: str
    code: str
    contact_email: str
    is_active: bool


@transaction.atomic
def get_default_company() -> Company:
    """Return the company that users without an invitation join if `SIGNUP` is `open`."""
    company, is_new = Company.objects.get_or_create(
        code=settings.DEFAULT_COMPANY_CODE, defaults={"name": DEFAULT_COMPANY_NAME}
    )
    if is_new:
        record("company.created", by=None, target=company)
    return company


@transaction.atomic
def create_company(*, by: User | None, **fields: Unpack[CompanyFields]) -> Company:
    """Create a company; without a `code`, a free one is generated from its name.

    A given `code` may be one that the operator has prepared; a generated one never is.
    """
    if not fields.get("code"):
        fields["code"] = _generate_free_code(fields["name"])
    company = Company.objects.create(**fields)
    record("company.created", by=by, target=company)
    return company


@transaction.atomic
def update_company(
    company: Company, *, by: User | None, **changes: Unpack[CompanyFields]
) -> Company:
    """Write the changed columns of a company; a deactivated one loses its users' mailed links."""
    recorded = find_changes(company, changes)
    for name, value in changes.items():
        setattr(company, name, value)
    company.save()
    if not company.is_active:
        PasswordReset.objects.revoke_for(company.users.all())
        EmailChange.objects.revoke_for(company.users.all())
    if recorded:
        record("company.updated", by=by, target=company, changes=recorded)
    return company


def _generate_free_code(name: str) -> str:
    code = _generate_code(name)
    while _is_reserved(code) or Company.objects.filter(code=code).exists():
        code = _generate_code(name)
    return code


def _generate_code(name: str) -> str:
    """Return the words of the name and a random tail.

    The code names folders and buckets. Without the tail, a stranger could sign up with the name of
    a company for which the operator has prepared them.
    """
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    words = words[:MAX_GENERATED_WORDS_CHARS].strip("-") or "company"
    tail = "".join(secrets.choice(CODE_TAIL_ALPHABET) for _ in range(CODE_TAIL_CHARS))
    return f"{words}-{tail}"


def _is_reserved(code: str) -> bool:
    """Return whether the operator uses this code already: only a superuser can give it away."""
    return (
        code == settings.DEFAULT_COMPANY_CODE
        or code in settings.S3_BUCKETS
        or any((root / code).exists() for root in settings.COMPANY_FOLDER_ROOTS)
    )
