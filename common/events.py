"""The record of what was changed, and by whom.

For now an event is a log line; the event table will take the same calls.
"""

from functools import partial

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, transaction

log = structlog.get_logger(__name__)


def record(action: str, *, by: AbstractBaseUser | None, target: models.Model) -> None:
    """Log a change when its transaction commits.

    `action` names the kind of row and what happened to it ("product.updated"), `by` is the person
    who did it, or None for the system.
    """
    company = getattr(target, "company_id", None)
    event = {
        "action": action,
        "actor": str(by.pk) if by else "system",
        "company": str(company) if company else None,
        "target": f"{target._meta.label} {target.pk}",
    }
    transaction.on_commit(partial(log.info, "change", **event), robust=True)
