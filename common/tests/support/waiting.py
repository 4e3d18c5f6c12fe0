import time
from collections.abc import Callable

POLL_INTERVAL_S = 0.05


def eventually(condition: Callable[[], object], what: str, *, within: float = 20.0) -> None:
    """Wait until `condition` is true; after `within` seconds fail with `what` in the message."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(POLL_INTERVAL_S)
