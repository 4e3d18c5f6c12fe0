"""Count a request in several sliding windows, in all or none, with one round trip to Redis.

Each window stores the time of every request it counts, so the limit and `Retry-After` are exact. A
refused request is not counted.

The library `limits` checks several windows one after the other, so the first window would count
requests that the second refuses. See docs/adr/0012-own-rate-limiter.md.
"""

import hashlib
from collections.abc import Callable, Sequence
from threading import BoundedSemaphore
from typing import Any, TypeVar

from django_redis import get_redis_connection  # type: ignore[import-untyped]
from redis import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

from common.ratelimit.circuit_breaker import CircuitBreaker
from common.ratelimit.local_counter import LocalCounter
from common.ratelimit.windows import RateLimitDecision, Window, WindowState

T = TypeVar("T")

# KEYS: for each window its list of request times (newest first), its seen key and its exempt key.
# ARGV: for each window its limit and its length in microseconds.
# Return whether the request was counted, for each window the number of requests in it and the
# microseconds until it allows one more, or {-1, 0} if its seen key or exempt key exists, and the
# time of the request.
# The keys have different hash slots, so the script does not run on a Redis cluster.
# `allow-oom`: the limits hold while the memory is full. The keys are few, and they expire.
COUNT_SCRIPT = """#!lua flags=allow-oom
local function count_after(times, moment)
  local low, high = 0, redis.call('LLEN', times)
  if high > 0 and tonumber(redis.call('LINDEX', times, -1)) > moment then return high end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', times, middle)) > moment then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local allowed, counts = 1, {}
for i = 1, #KEYS / 3 do
  local times, limit, length = KEYS[3 * i - 2], tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if redis.call('EXISTS', KEYS[3 * i - 1], KEYS[3 * i]) > 0 then
    counts[i] = {-1, 0}
  else
    local count = count_after(times, now - length)
    if count > 0 then redis.call('LTRIM', times, 0, count - 1) else redis.call('DEL', times) end
    local next_to_leave = count > 0 and redis.call('LINDEX', times, math.min(count, limit) - 1)
    counts[i] = {count, (next_to_leave or now) + length - now}
    if count >= limit then allowed = 0 end
  end
end
for i = 1, allowed * #KEYS / 3 do
  if counts[i][1] >= 0 then
    local milliseconds = math.ceil(ARGV[2 * i] / 1000)
    redis.call('LPUSH', KEYS[3 * i - 2], string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[3 * i - 2], milliseconds)
    if KEYS[3 * i - 1] ~= '' then redis.call('SET', KEYS[3 * i - 1], 1, 'PX', milliseconds) end
    counts[i][1] = counts[i][1] + 1
  end
end
return {allowed, counts, now}
"""
COUNT_SCRIPT_SHA1 = hashlib.sha1(COUNT_SCRIPT.encode()).hexdigest()  # noqa: S324 - for EVALSHA

# The most connections that the limiter uses at a time, from the cache's pool; other threads wait.
MAX_CONCURRENT_CALLS = 16


class RateLimiter:
    """Counts requests in Redis; while Redis is unavailable, in this process."""

    def __init__(self, connect: Callable[[], Redis] = get_redis_connection) -> None:
        self._connect = connect
        self._breaker = CircuitBreaker()
        self._slots = BoundedSemaphore(MAX_CONCURRENT_CALLS)
        self._local_counter = LocalCounter()

    def count_request(self, windows: Sequence[Window]) -> RateLimitDecision | None:
        """Count one request in all windows, or in none if one of them is full.

        Return `None` if nothing limits the request, because `windows` is empty.
        """
        if not windows:
            return None
        decision = self._call_redis(lambda redis: _count_in_redis(redis, windows))
        return decision or self._local_counter.count_request(windows)

    def uncount_request(self, decision: RateLimitDecision) -> None:
        """Remove an allowed request from the windows that counted it."""
        if decision.is_local:
            self._local_counter.uncount_request(decision)
        else:
            self._call_redis(lambda redis: _uncount_in_redis(redis, decision))

    def set_exempt_key(self, key: str, *, ttl_s: int) -> None:
        """Exempt requests from the windows that have `key` as their `exempt_key`."""
        self._call_redis(lambda redis: redis.set(key, 1, ex=ttl_s))

    def _call_redis(self, call: Callable[[Redis], T]) -> T | None:
        with self._slots:
            if not self._breaker.allow_call():
                return None
            try:
                result = call(self._connect())
            except OutOfMemoryError:  # the server still counts, so don't open the circuit
                return None
            except (RedisError, OSError) as error:
                self._breaker.record_failure(error)
                return None
            self._breaker.record_success()
            return result


def _count_in_redis(redis: Redis, windows: Sequence[Window]) -> RateLimitDecision:
    keys = [key for w in windows for key in (w.key, w.seen_key, w.exempt_key)]
    sizes = [number for w in windows for number in (w.rate.limit, w.length_us)]
    arguments: list[Any] = [len(keys), *keys, *sizes]
    try:
        allowed, counts, moment_us = redis.evalsha(COUNT_SCRIPT_SHA1, *arguments)
    except NoScriptError:
        allowed, counts, moment_us = redis.eval(COUNT_SCRIPT, *arguments)
    states = tuple(
        WindowState(window, count, reset_after_us)
        for window, (count, reset_after_us) in zip(windows, counts, strict=True)
        if count >= 0
    )
    return RateLimitDecision(bool(allowed), states, tuple(windows), moment_us)


def _uncount_in_redis(redis: Redis, decision: RateLimitDecision) -> None:
    with redis.pipeline() as pipeline:
        for state in decision.states:
            pipeline.lrem(state.window.key, 1, str(decision.moment_us))
            if state.window.seen_key:
                pipeline.delete(state.window.seen_key)
        pipeline.execute()


limiter = RateLimiter()
