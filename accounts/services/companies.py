import re
import secrets
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import Company, User
from common.events import record

DEFAULT_COMPANY_NAME = "Default Company"
# Leaves room for the suffix that makes a taken code unique.
MAX_GENERATED_CODE_CHARS = 40


class CompanyFields(TypedDict, total=False):
    """The columns of a company that its admin or a superuser can write."""

    name: str
    code: str
    contact_email: str
    is_active: bool


def get_default_company() -> Company:
    """Return the company that users without an invitation join if `SIGNUP` is `open`."""
    company, is_new = Company.objects.get_or_create(
        code=settings.DEFAULT_COMPANY_CODE, defaults={"name": DEFAULT_COMPANY_NAME}
    )
    if is_new:
        record("company.created", by=None, target=company, company_id=company.pk)
    return company


@transaction.atomic
def create_company(*, by: User | None, **fields: Unpack[CompanyFields]) -> Company:
    """Create a company; without a `code`, a free one is generated from its name."""
    if fields.get("code"):
        company = Company.objects.create(**fields)
    else:
        company = _create_with_generated_code(**fields)
    record("company.created", by=by, target=company, company_id=company.pk)
    return company


@transaction.atomic
def update_company(
    company: Company, *, by: User | None, **changes: Unpack[CompanyFields]
) -> Company:
    """Write the changed columns of a company."""
    for name, value in changes.items():
        setattr(company, name, value)
    company.save()
    record("company.updated", by=by, target=company, company_id=company.pk)
    return company


def _create_with_generated_code(**fields: Unpack[CompanyFields]) -> Company:
    code = _generate_code(fields["name"])
    try:
        with transaction.atomic():
            return Company.objects.create(**{**fields, "code": code})
    except IntegrityError:
        unique_code = f"{code}-{secrets.token_hex(4)}"
        return Company.objects.create(**{**fields, "code": unique_code})


def _generate_code(name: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words[:MAX_GENERATED_CODE_CHARS].strip("-") or "company"
