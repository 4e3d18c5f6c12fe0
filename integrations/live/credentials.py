"""What a stream was opened with. The stream ends when this is no longer valid."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request

from accounts.models import Login, User


@dataclass(frozen=True, slots=True)
class Credential:
    """A sign-in of a user: by a login's access token, or without one in the admin site.

    expires_at: seconds since the epoch.
    """

    user_id: UUID
    token_version: int
    login_id: UUID | None
    expires_at: int

    @classmethod
    def of_request(cls, request: Request) -> Self:
        """Return the credential of a request that is signed in by token or session."""
        user: Any = request.user
        if request.auth is None:
            lifetime = settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"]
            expires_at = int(time.time() + lifetime.total_seconds())
            return cls(user.pk, user.token_version, None, expires_at)
        token: Any = request.auth
        return cls(user.pk, user.token_version, UUID(token["sid"]), int(token["exp"]))

    def is_valid_for(self, user: User | None, *, active_logins: set[UUID]) -> bool:
        """Return whether this is still valid; `user` is the user's current row, if there is one."""
        return (
            user is not None
            and user.can_sign_in
            and user.token_version == self.token_version
            and (self.login_id is None or self.login_id in active_logins)
            and time.time() < self.expires_at
        )


def find_users(credentials: Iterable[Credential]) -> dict[Credential, User]:
    """Return the users of those credentials that are valid now; two queries for all together."""
    credentials = set(credentials)
    users = User.objects.select_related("company").in_bulk({c.user_id for c in credentials})
    login_ids = {c.login_id for c in credentials if c.login_id}
    logins = Login.objects.active().filter(pk__in=login_ids)
    active_logins = set(logins.values_list("pk", flat=True))
    return {
        credential: users[credential.user_id]
        for credential in credentials
        if credential.is_valid_for(users.get(credential.user_id), active_logins=active_logins)
    }
