import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from common.ratelimit.windows import RateLimitDecision, Window, WindowState

CLEANUP_INTERVAL_US = 60_000_000


class LocalCounter:
    """Counts like the script in `limiter`, but in this process: the fallback without Redis.

    With several processes, each allows the limit.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        # Times in microseconds: of the requests by window, and of the expiry by key.
        self._logs: defaultdict[str, deque[int]] = defaultdict(deque)
        self._expiry: dict[str, int] = {}
        self._next_cleanup = 0

    def count_request(self, windows: Sequence[Window]) -> RateLimitDecision:
        """Count one request in all windows, or in none if one of them is full."""
        now = time.monotonic_ns() // 1000
        with self._lock:
            self._remove_expired(now)
            states = [self._state(w, now) for w in windows if not self._has_seen_key(w, now)]
            allowed = all(state.remaining > 0 for state in states)
            if allowed:
                states = [self._add(state, now) for state in states]
        return RateLimitDecision(allowed, tuple(states), tuple(windows))

    def _has_seen_key(self, window: Window, now: int) -> bool:
        return self._expiry.get(window.seen_key, 0) > now

    def _state(self, window: Window, now: int) -> WindowState:
        log = self._logs[window.key]
        while log and log[0] <= now - window.length_us:
            log.popleft()
        next_to_leave = log[-min(len(log), window.rate.limit)] if log else now
        return WindowState(window, len(log), next_to_leave + window.length_us - now)

    def _add(self, state: WindowState, now: int) -> WindowState:
        window = state.window
        self._logs[window.key].append(now)
        for key in filter(None, (window.key, window.seen_key)):
            self._expiry[key] = now + window.length_us
        return replace(state, count=state.count + 1)

    def _remove_expired(self, now: int) -> None:
        if now < self._next_cleanup:
            return
        self._next_cleanup = now + CLEANUP_INTERVAL_US
        self._expiry = {key: end for key, end in self._expiry.items() if end > now}
        live = {key: log for key, log in self._logs.items() if key in self._expiry}
        self._logs = defaultdict(deque, live)
