"""Signs of life of processes that serve no requests by which others could check them."""

from math import ceil

from django_redis import get_redis_connection

BEAT, LIVE = "beat", "live"


def beat(name: str, *, lifetime_s: float) -> None:
    """Say that a process of this name works, for some time; raises the errors of Valkey."""
    get_redis_connection("default").set(_key(name), 1, ex=ceil(lifetime_s))


def check(name: str) -> None:
    """Raise `LookupError` if no process of this name works, or the errors of Valkey."""
    if not get_redis_connection("default").exists(_key(name)):
        raise LookupError(f"no {name} process works")


def _key(name: str) -> str:
    return f"bureau:heartbeat:{name}"
