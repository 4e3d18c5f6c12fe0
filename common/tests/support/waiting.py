import time
from collections.abc import Callable

TICK = 0.05


def eventually(condition: Callable[[], object], what: str, *, within: float = 20.0) -> None:
    """Wait until `condition` holds; AssertionError after `within` seconds, which names `what`."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(TICK)
