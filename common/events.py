"""Record what was changed, and by whom.

Events are only logged for now; an event table will store them later.
"""

from functools import partial
from typing import Any

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, transaction

log = structlog.get_logger(__name__)


def record(
    action: str, *, by: AbstractBaseUser | None, target: models.Model, company_id: Any = None
) -> None:
    """Log a change when its transaction commits.

    `action` names the kind of row and the change ("product.updated"). `by` is the user who made
    the change, or `None` for the system. `company_id` is only needed if the row has none.
    """
    company = company_id or getattr(target, "company_id", None)
    event = {
        "action": action,
        "actor": str(by.pk) if by else "system",
        "company": str(company) if company else None,
        "target": f"{target._meta.label} {target.pk}",
    }
    transaction.on_commit(partial(log.info, "change", **event), robust=True)
