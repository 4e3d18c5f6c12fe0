"""Versions and cached responses in Redis.

A hit costs one MGET; everything else is done atomically by Lua scripts.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django_redis import get_redis_connection
from redis import ConnectionPool
from redis.exceptions import NoScriptError, RedisError

from common.redaction import redacted_message

log = structlog.get_logger(__name__)

PREFIX = "bureau:bytes"
# Limits the effect of a write that Redis has lost: no response is used for longer.
MAX_AGE_MS = 60_000
# How long one caller may compute a response while the others wait for it.
LOCK_TIMEOUT_MS = 5_000
# A writer that has not ended after this time counts as dead.
WRITER_TIMEOUT_S = 30
# After an error Redis is not asked for this time.
RETRY_INTERVAL_S = 1.0

# Returns the state of the namespace: its version, or "" during a write. Where there is no version
# it stores `new_version`. KEYS of all scripts: the state, the set of writers.
_STATE_FUNCTION = f"""
local function state(new_version)
  local now = tonumber(redis.call('TIME')[1])
  if redis.call('ZCOUNT', KEYS[2], now, '+inf') > 0 then
    redis.call('SET', KEYS[1], '', 'EX', {WRITER_TIMEOUT_S})
    return ''
  end
  local version = redis.call('GET', KEYS[1])
  if not version or version == '' then
    version = new_version
    redis.call('SET', KEYS[1], version)
  end
  return version
end
"""

# More KEYS: the response, its lock. ARGV: a new version.
READ_SCRIPT = f"""{_STATE_FUNCTION}
local version = state(ARGV[1])
if version == '' then return {{'', false, 0}} end
local response = redis.call('GET', KEYS[3])
if response and string.sub(response, 1, #version + 1) == version .. '\\n' then
  return {{version, response, 0}}
end
local locked = redis.call('SET', KEYS[4] .. version, 1, 'NX', 'PX', {LOCK_TIMEOUT_MS})
return {{version, false, locked and 1 or 0}}
"""

# More KEYS: the response, its lock. ARGV: the version it was computed for, the response.
STORE_SCRIPT = f"""
redis.call('DEL', KEYS[4] .. ARGV[1])
if ARGV[2] ~= '' and redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[3], ARGV[1] .. '\\n' .. ARGV[2], 'PX', {MAX_AGE_MS})
end
"""

# ARGV: the writer.
BEGIN_WRITE_SCRIPT = f"""
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + {WRITER_TIMEOUT_S}, ARGV[1])
redis.call('EXPIRE', KEYS[2], {2 * WRITER_TIMEOUT_S})
redis.call('SET', KEYS[1], '', 'EX', {WRITER_TIMEOUT_S})
"""

# ARGV: the writer, a new version.
END_WRITE_SCRIPT = f"""{_STATE_FUNCTION}
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
state(ARGV[2])
"""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of a look-up: a cached `response`, or whether the caller has to compute it.

    If `is_locked_by_caller`, the caller computes the response and passes this to `store_response`.
    """

    keys: tuple[str, ...] = ()
    version: bytes = b""
    response: bytes | None = None
    is_locked_by_caller: bool = False


# Compute the response without waiting and without storing it.
BYPASS = Lookup()

# By `time.monotonic`: until then Redis is not asked.
unavailable_until = 0.0


def look_up(namespace: str, key: str) -> Lookup:
    """Look up a response; `BYPASS` during a write to the namespace or without Redis."""
    if time.monotonic() < unavailable_until:
        return BYPASS
    keys = _keys(namespace, key)
    try:
        version, response = _execute("MGET", keys[0], keys[2])
        if version and response and response.startswith(version + b"\n"):
            return Lookup(keys, version, response[len(version) + 1 :])
        return BYPASS if version == b"" else _look_up_or_lock(keys)
    except (RedisError, OSError) as error:
        _mark_unavailable(error)
        return BYPASS


def store_response(lookup: Lookup, response: bytes | None) -> None:
    """Store a computed response and release the lock; `None` only releases it."""
    try:
        _run(STORE_SCRIPT, lookup.keys, lookup.version, response or b"")
    except (RedisError, OSError) as error:
        _mark_unavailable(error)


def begin_write(namespace: str) -> str:
    """Stop reads and stores in the namespace; return the writer id that `end_write` takes.

    Raises the error of Redis, as do `end_write` and `invalidate`.
    """
    writer = secrets.token_hex(8)
    _run(BEGIN_WRITE_SCRIPT, _keys(namespace), writer)
    return writer


def end_write(namespace: str, writer: str) -> None:
    """Remove the writer; without other writers the namespace gets a new version."""
    _run(END_WRITE_SCRIPT, _keys(namespace), writer, secrets.token_hex(8))


def invalidate(namespace: str) -> None:
    """Give the namespace a new version, so that all its cached responses are invalid."""
    end_write(namespace, "")


def _look_up_or_lock(keys: tuple[str, ...]) -> Lookup:
    version, response, locked = _run(READ_SCRIPT, keys, secrets.token_hex(8))
    if not version:
        return BYPASS
    return Lookup(keys, version, response and response[len(version) + 1 :], bool(locked))


def _keys(namespace: str, key: str = "") -> tuple[str, ...]:
    """Return the Redis keys of the state, the writers, the response and its lock."""
    root = f"{PREFIX}:{namespace}"
    return f"{root}:state", f"{root}:writers", f"{root}:response:{key}", f"{root}:lock:{key}:"


def _run(script: str, keys: tuple[str, ...], *arguments: str | bytes) -> Any:
    try:
        return _execute("EVALSHA", _sha1(script), len(keys), *keys, *arguments)
    except NoScriptError:
        return _execute("EVAL", script, len(keys), *keys, *arguments)


@cache
def _sha1(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()  # noqa: S324 - what EVALSHA takes


def _execute(*command: str | bytes | int) -> Any:
    """Send a command to Redis and return its reply.

    Uses the connection pool directly: the redis client around it would double the time of a hit.
    """
    location: Any = settings.CACHES["default"]["LOCATION"]
    pool = _pool(location)
    connection = pool.get_connection()
    try:
        connection.send_command(*command)
        return connection.read_response()
    finally:
        pool.release(connection)


@cache
def _pool(location: str) -> ConnectionPool:
    """Return the pool for all threads; Django would look the cache up per thread and by name."""
    return get_redis_connection("default").connection_pool


def _mark_unavailable(error: Exception) -> None:
    """Stop asking Redis for a moment, so that not every request waits for a timeout."""
    global unavailable_until
    unavailable_until = time.monotonic() + RETRY_INTERVAL_S
    log.warning("cache_unavailable", error=redacted_message(error))
