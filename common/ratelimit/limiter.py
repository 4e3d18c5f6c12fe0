"""Counting requests in sliding windows, all or none, in one round trip to Redis.

Each window keeps the times of the requests that it counted, so that its answers are exact: never
more than the limit in any stretch of its length, and a `Retry-After` that holds. A request that
is refused is counted nowhere.

The library `limits` decides window by window, each by a script and the client's clock of its own:
of two windows the first has counted what the second refuses. Hence our own script.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

import structlog
from django_redis import get_redis_connection  # type: ignore[import-untyped]
from redis import Redis
from redis.exceptions import NoScriptError, RedisError

from common.ratelimit.local_counter import LocalCounter
from common.ratelimit.windows import Reading, Verdict, Window
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

T = TypeVar("T")

# KEYS: of each window its log, newest first, its pass, and a mark that lets by like a pass.
# ARGV: of each window its limit and its length in microseconds.
# Answers whether the request was counted; then of each window how many it holds and in how many
# microseconds it takes one more, or -1 where a pass let the request by. Needs no cluster.
COUNT = """
local function later(log, moment)
  local stay, gone = 0, redis.call('LLEN', log)
  if gone > 0 and tonumber(redis.call('LINDEX', log, -1)) > moment then return gone end
  while stay < gone do
    local middle = math.floor((stay + gone) / 2)
    if tonumber(redis.call('LINDEX', log, middle)) > moment then
      stay = middle + 1
    else
      gone = middle
    end
  end
  return stay
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fits, answer = 1, {}
for i = 1, #KEYS / 3 do
  local log, limit, length = KEYS[3 * i - 2], tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if redis.call('EXISTS', KEYS[3 * i - 1], KEYS[3 * i]) > 0 then
    answer[i] = {-1, 0}
  else
    local count = later(log, now - length)
    if count > 0 then redis.call('LTRIM', log, 0, count - 1) else redis.call('DEL', log) end
    local next_to_leave = count > 0 and redis.call('LINDEX', log, math.min(count, limit) - 1)
    answer[i] = {count, (next_to_leave or now) + length - now}
    if count >= limit then fits = 0 end
  end
end
for i = 1, fits * #KEYS / 3 do
  if answer[i][1] >= 0 then
    local milliseconds = math.ceil(ARGV[2 * i] / 1000)
    redis.call('LPUSH', KEYS[3 * i - 2], string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[3 * i - 2], milliseconds)
    if KEYS[3 * i - 1] ~= '' then redis.call('SET', KEYS[3 * i - 1], 1, 'PX', milliseconds) end
    answer[i][1] = answer[i][1] + 1
  end
end
return {fits, answer}
"""
COUNT_SHA = hashlib.sha1(COUNT.encode()).hexdigest()  # noqa: S324 - what EVALSHA takes

# Seconds for which a Redis that failed is left alone.
PAUSE = 2.0
# More threads than this wait for each other, or they could use up the cache's connections.
AT_ONCE = 16


class Limiter:
    """Counts requests in Redis; while that is away, in this process or not at all."""

    def __init__(self, connect: Callable[[], Redis] = get_redis_connection) -> None:
        self._connect = connect
        self._breaker = Breaker()
        self._slots = BoundedSemaphore(AT_ONCE)
        self._local = LocalCounter()

    def hit(self, windows: Sequence[Window], *, locally: bool = False) -> Verdict | None:
        """Count one request in all windows, or in none if one of them is full.

        `None` means that nothing limits it: no windows are given, or Redis is away. With
        `locally` the windows are then counted in this process alone, by the same rules.
        """
        if not windows:
            return None
        answer = self._guarded(lambda redis: _count(redis, windows))
        if answer is None and locally:
            answer = self._local.count(windows)
        if answer is None:
            return None
        fits, counts = answer
        pairs = zip(windows, counts, strict=True)
        readings = [Reading(window, *numbers) for window, numbers in pairs if numbers[0] >= 0]
        return Verdict(fits, tuple(readings), tuple(windows))

    def mark(self, name: str, *, seconds: int) -> None:
        """Set a mark that lets requests by windows which name it as `known`."""
        self._guarded(lambda redis: redis.set(name, 1, ex=seconds))

    def _guarded(self, call: Callable[[Redis], T]) -> T | None:
        with self._slots:
            if not self._breaker.lets_through():
                return None
            try:
                result = call(self._connect())
            except (RedisError, OSError) as error:
                self._breaker.failed(error)
                return None
            self._breaker.succeeded()
            return result


def _count(redis: Redis, windows: Sequence[Window]) -> tuple[bool, list[tuple[int, int]]]:
    keys = [name for w in windows for name in (w.key, w.entry, w.known)]
    sizes = [number for w in windows for number in (w.rate.limit, w.rate.seconds * 1_000_000)]
    arguments: list[Any] = [len(keys), *keys, *sizes]
    try:
        fits, counts = redis.evalsha(COUNT_SHA, *arguments)
    except NoScriptError:
        fits, counts = redis.eval(COUNT, *arguments)
    return bool(fits), [(count, wait) for count, wait in counts]


class Breaker:
    """After a failure lets one call through each `PAUSE`, so that not every request waits."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._closed = True
        self._next_try = 0.0

    def lets_through(self) -> bool:
        if self._closed:
            return True
        with self._lock:
            if time.monotonic() < self._next_try:
                return False
            self._next_try = time.monotonic() + PAUSE
            return True

    def failed(self, error: Exception) -> None:
        with self._lock:
            first, self._closed = self._closed, False
            self._next_try = time.monotonic() + PAUSE
        if first:
            log.warning("rate_limits_away", error=redacted_message(error))

    def succeeded(self) -> None:
        if not self._closed:
            self._closed = True
            log.info("rate_limits_back")


limiter = Limiter()
