import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Lock

from common.ratelimit.windows import RateLimitDecision, Window, WindowState

CLEANUP_INTERVAL_US = 60_000_000


class LocalCounter:
    """Counts as the script in `limiter` does, but in this process: the fallback without Redis.

    Each process then allows the whole limit.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        # In microseconds: the times of the requests by window, and the expiry of each key.
        self._times: defaultdict[str, deque[int]] = defaultdict(deque)
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
        return RateLimitDecision(allowed, tuple(states), tuple(windows), now, is_local=True)

    def uncount_request(self, decision: RateLimitDecision) -> None:
        """Remove an allowed request from the windows that counted it."""
        with self._lock:
            for state in decision.states:
                with suppress(ValueError):
                    self._times[state.window.key].remove(decision.moment_us)
                self._expiry.pop(state.window.seen_key, None)

    def _has_seen_key(self, window: Window, now: int) -> bool:
        return self._expiry.get(window.seen_key, 0) > now

    def _state(self, window: Window, now: int) -> WindowState:
        times = self._times[window.key]
        while times and times[0] <= now - window.length_us:
            times.popleft()
        next_to_leave = times[-min(len(times), window.rate.limit)] if times else now
        return WindowState(window, len(times), next_to_leave + window.length_us - now)

    def _add(self, state: WindowState, now: int) -> WindowState:
        window = state.window
        self._times[window.key].append(now)
        for key in filter(None, (window.key, window.seen_key)):
            self._expiry[key] = now + window.length_us
        return replace(state, count=state.count + 1)

    def _remove_expired(self, now: int) -> None:
        if now < self._next_cleanup:
            return
        self._next_cleanup = now + CLEANUP_INTERVAL_US
        self._expiry = {key: end for key, end in self._expiry.items() if end > now}
        live = {key: times for key, times in self._times.items() if key in self._expiry}
        self._times = defaultdict(deque, live)
