"""The HTTP or gRPC request whose events are recorded: its client's address."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_read_address: ContextVar[Callable[[], str] | None] = ContextVar("event_address", default=None)


@contextmanager
def client_of_events(read_address: Callable[[], str]) -> Iterator[None]:
    """Record events as caused by the client whose address `read_address` returns.

    The address is only read if an event is recorded.
    """
    token = _read_address.set(read_address)
    try:
        yield
    finally:
        _read_address.reset(token)


def is_in_request() -> bool:
    return _read_address.get() is not None


def client_address() -> str:
    """Return the client's address, or an empty string outside of a request."""
    read_address = _read_address.get()
    return read_address() if read_address else ""
