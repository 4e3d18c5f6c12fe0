"""The HTTP request whose events are recorded: its client's address and its user."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Client:
    """The functions are only called if an event is recorded."""

    read_address: Callable[[], str]
    read_user: Callable[[], Any]


_current: ContextVar[_Client | None] = ContextVar("event_client", default=None)


@contextmanager
def client_of_events(
    *, read_address: Callable[[], str], read_user: Callable[[], Any]
) -> Iterator[None]:
    """Record events as caused by the client of a request."""
    token = _current.set(_Client(read_address, read_user))
    try:
        yield
    finally:
        _current.reset(token)


def is_in_request() -> bool:
    return _current.get() is not None


def client_address() -> str:
    """Return the client's address, or an empty string outside of a request."""
    client = _current.get()
    return client.read_address() if client else ""


def current_user() -> Any:
    """Return the signed-in user of the request; None without one.

    Services get their actor as `by`. This is for what other libraries call without an actor.
    """
    client = _current.get()
    user = client and client.read_user()
    return user if user and user.is_authenticated else None
