"""Where the calls to AI providers are recorded.

The app that keeps the ledger registers it: `common` has no companies, and the apps that make the
calls don't import each other. See ADR 40.
"""

from typing import Protocol
from uuid import UUID

from django.db.models import TextChoices

from common.ai.types import Recorder


class Purpose(TextChoices):
    """What a call was made for."""

    SUMMARY = "summary"
    DESCRIPTION = "description"
    EMBEDDING = "embedding"


class Ledger(Protocol):
    """Returns the recorder of calls for one purpose."""

    def __call__(
        self, *, purpose: Purpose, company_id: UUID | None, user_id: UUID | None
    ) -> Recorder: ...


_ledgers: list[Ledger] = []


def register_ledger(ledger: Ledger) -> None:
    """Record all calls by `ledger`; called once, by the app that keeps it."""
    _ledgers.append(ledger)


def open_ledger(
    *, purpose: Purpose, company_id: UUID | None, user_id: UUID | None = None
) -> Recorder:
    """Return the recorder of calls that `company_id` pays for.

    Without a company the operator pays, as for a search by an anonymous person. Each row is
    committed before its call leaves, so no call is made in a transaction.
    """
    (ledger,) = _ledgers
    return ledger(purpose=purpose, company_id=company_id, user_id=user_id)
