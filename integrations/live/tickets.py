"""Tickets: browsers can't send a token with an `EventSource`, so they put a ticket into its URL.

A ticket is signed, valid for 30 seconds and works once. Which tickets were used is stored in
Valkey. While it is down, each live process only knows those that were used there.
"""

import secrets
import time
from threading import Lock
from uuid import UUID

from django.core import signing
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from integrations.live.credentials import Credential

LIFETIME_S = 30
SALT = "events.ticket"
USED_KEY = "bureau:used-ticket:"


class InvalidTicket(Exception):
    """The ticket is wrong, expired, or was used before."""


def create_ticket(credential: Credential) -> str:
    login_id = str(credential.login_id) if credential.login_id else ""
    values = [
        secrets.token_urlsafe(12),
        str(credential.user_id),
        credential.token_version,
        login_id,
        credential.expires_at,
    ]
    return signing.dumps(values, salt=SALT)


def redeem_ticket(ticket: str) -> Credential:
    """Return the credential of a ticket, which is used up then; raise `InvalidTicket`."""
    try:
        values = signing.loads(ticket, salt=SALT, max_age=LIFETIME_S)
    except signing.BadSignature:
        raise InvalidTicket from None
    nonce, user_id, token_version, login_id, expires_at = values
    if not (_used_here.add(nonce) and _add_to_valkey(nonce)):
        raise InvalidTicket
    return Credential(
        UUID(user_id), token_version, UUID(login_id) if login_id else None, expires_at
    )


def _add_to_valkey(nonce: str) -> bool:
    """Mark a ticket as used; return False if it was. Without Valkey, `_used_here` decides."""
    try:
        valkey = get_redis_connection("default")
        return bool(valkey.set(f"{USED_KEY}{nonce}", 1, nx=True, ex=LIFETIME_S + 1))
    except (RedisError, OSError):
        return True


class _UsedTickets:
    """The tickets that were used in this process, for as long as they are valid."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._times: dict[str, float] = {}

    def add(self, nonce: str) -> bool:
        """Mark a ticket as used; return False if it was."""
        now = time.monotonic()
        with self._lock:
            for old in [n for n, used in self._times.items() if used < now - LIFETIME_S - 1]:
                del self._times[old]
            return self._times.setdefault(nonce, now) == now


_used_here = _UsedTickets()
