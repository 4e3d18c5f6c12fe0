from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from django.db.models import Q

from common.events.kinds import Audience


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which events a user sees: as a query, and as a check of a single event.

    sees_all: the events of all companies, as a superuser does.
    audiences: those of the company's events; `owner_id` adds the user's own.
    """

    sees_all: bool
    company_id: UUID
    audiences: tuple[Audience, ...]
    owner_id: UUID

    @classmethod
    def of(cls, user: Any) -> Self:
        """Return what a signed-in user sees."""
        if user.is_admin:
            audiences = tuple(Audience)
        else:
            audiences = (Audience.COMPANY, *([Audience.PEOPLE] if user.is_agent else []))
        return cls(user.is_superuser, user.company_id, audiences, user.pk)

    def as_query(self) -> Q:
        if self.sees_all:
            return Q()
        is_own = Q(audience=Audience.OWNER, owner_id=self.owner_id)
        return Q(company_id=self.company_id) & (Q(audience__in=self.audiences) | is_own)

    def includes(self, event: Any) -> bool:
        if self.sees_all:
            return True
        is_own = event.audience == Audience.OWNER and event.owner_id == self.owner_id
        return event.company_id == self.company_id and (event.audience in self.audiences or is_own)
