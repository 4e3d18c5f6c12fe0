import time
from collections import defaultdict, deque
from collections.abc import Sequence
from threading import Lock

from common.ratelimit.windows import Window

SWEEP = 60_000_000


class LocalCounter:
    """Counts as the script in `limiter` does, but in this process: what holds without Redis.

    A server of several processes lets through as many times the limit.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._logs: defaultdict[str, deque[int]] = defaultdict(deque)
        self._ends: dict[str, int] = {}
        self._next_sweep = 0

    def count(self, windows: Sequence[Window]) -> tuple[bool, list[tuple[int, int]]]:
        """Whether the request was counted; of each window its count and microseconds, or -1."""
        now = time.monotonic_ns() // 1000
        with self._lock:
            self._sweep(now)
            answer = [self._look(window, now) for window in windows]
            pairs = list(zip(windows, answer, strict=True))
            fits = all(count < window.rate.limit for window, (count, _) in pairs)
            if fits:
                answer = [self._add(window, now, numbers) for window, numbers in pairs]
        return fits, answer

    def _look(self, window: Window, now: int) -> tuple[int, int]:
        if self._ends.get(window.entry, 0) > now:
            return -1, 0
        log, length = self._logs[window.key], window.rate.seconds * 1_000_000
        while log and log[0] <= now - length:
            log.popleft()
        next_to_leave = log[-min(len(log), window.rate.limit)] if log else now
        return len(log), next_to_leave + length - now

    def _add(self, window: Window, now: int, numbers: tuple[int, int]) -> tuple[int, int]:
        count, microseconds = numbers
        if count < 0:
            return numbers
        self._logs[window.key].append(now)
        for name in filter(None, (window.key, window.entry)):
            self._ends[name] = now + window.rate.seconds * 1_000_000
        return count + 1, microseconds

    def _sweep(self, now: int) -> None:
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP
        self._ends = {name: end for name, end in self._ends.items() if end > now}
        kept = {key: log for key, log in self._logs.items() if key in self._ends}
        self._logs = defaultdict(deque, kept)
