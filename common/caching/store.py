"""Versions and cached responses in Redis.

A hit costs one MGET; everything else is done atomically by Lua scripts.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django_redis import get_redis_connection
from redis import ConnectionPool
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

from common.caching.slots import find_slot
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

PREFIX = "bureau:bytes"
# If Redis loses a write, old responses are used for at most this time.
MAX_AGE_MS = 60_000
# How long one caller may compute a response while the others wait for it.
LOCK_TIMEOUT_MS = 5_000
# A writer that has not ended after this time is ignored.
WRITER_TIMEOUT_S = 30
# After an error no command is sent to Redis for this time.
RETRY_INTERVAL_S = 1.0

# The KEYS of all scripts are the fields of `RedisKeys`.
_UNPACK_KEYS = "local state_key, writers_key, response_key, lock_prefix = unpack(KEYS)"

# Return the state of the namespace: its version, or "" during a write. If there is no version,
# store `new_version`.
_GET_STATE = f"""{_UNPACK_KEYS}
local function get_state(new_version)
  local now = tonumber(redis.call('TIME')[1])
  if redis.call('ZCOUNT', writers_key, now, '+inf') > 0 then
    redis.call('SET', state_key, '', 'EX', {WRITER_TIMEOUT_S})
    return ''
  end
  local version = redis.call('GET', state_key)
  if not version or version == '' then
    version = new_version
    redis.call('SET', state_key, version)
  end
  return version
end
"""

# Return the state, the response, and 1 if the caller has got the lock.
READ_SCRIPT = f"""{_GET_STATE}
local new_version = ARGV[1]
local version = get_state(new_version)
if version == '' then return {{'', false, 0}} end
local response = redis.call('GET', response_key)
if response and string.sub(response, 1, #version + 1) == version .. '\\n' then
  return {{version, response, 0}}
end
local locked = redis.call('SET', lock_prefix .. version, 1, 'NX', 'PX', {LOCK_TIMEOUT_MS})
return {{version, false, locked and 1 or 0}}
"""

# Store the response, and delete the one that had its slot. Without a slot it is not stored.
STORE_SCRIPT = f"""{_UNPACK_KEYS}
local version, response, slot_key = unpack(ARGV)
redis.call('DEL', lock_prefix .. version)
if slot_key ~= '' and redis.call('GET', state_key) == version then
  local evicted_key = redis.call('SET', slot_key, response_key, 'PX', {MAX_AGE_MS}, 'GET')
  if evicted_key then redis.call('DEL', evicted_key) end
  redis.call('SET', response_key, version .. '\\n' .. response, 'PX', {MAX_AGE_MS})
end
"""

# Writers need few bytes. They must invalidate responses while the memory is full, too.
_ALLOW_OOM = "#!lua flags=allow-oom"

BEGIN_WRITE_SCRIPT = f"""{_ALLOW_OOM}
{_UNPACK_KEYS}
local writer = ARGV[1]
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', writers_key, '-inf', now)
redis.call('ZADD', writers_key, now + {WRITER_TIMEOUT_S}, writer)
redis.call('EXPIRE', writers_key, {2 * WRITER_TIMEOUT_S})
redis.call('SET', state_key, '', 'EX', {WRITER_TIMEOUT_S})
"""

END_WRITE_SCRIPT = f"""{_ALLOW_OOM}
{_GET_STATE}
local writer, new_version = ARGV[1], ARGV[2]
redis.call('ZREM', writers_key, writer)
redis.call('DEL', state_key)
get_state(new_version)
"""


class RedisKeys(NamedTuple):
    """The Redis keys of a namespace and of one response in it."""

    state: str = ""
    writers: str = ""
    response: str = ""
    lock_prefix: str = ""  # followed by the version


_NO_KEYS = RedisKeys()


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of a look-up: a cached `response`, if there is one.

    With `has_lock` the caller must compute the response and call `store_response` with this
    object. Without both, another caller computes the response, unless this is `BYPASS`.
    """

    keys: RedisKeys = _NO_KEYS
    version: bytes = b""
    response: bytes | None = None
    has_lock: bool = False


# Compute the response without waiting and without storing it.
BYPASS = Lookup()

# Before this time (`time.monotonic`) no command is sent to Redis.
unavailable_until = 0.0


def look_up(namespace: str, key: str) -> Lookup:
    """Look up a response; `BYPASS` during a write to the namespace or without Redis."""
    if time.monotonic() < unavailable_until:
        return BYPASS
    keys = _keys(namespace, key)
    try:
        version, response = _execute("MGET", keys.state, keys.response)
        if version and response and response.startswith(version + b"\n"):
            return Lookup(keys, version, response[len(version) + 1 :])
        return BYPASS if version == b"" else _look_up_or_lock(keys)
    except OutOfMemoryError:
        return BYPASS
    except (RedisError, OSError) as error:
        _mark_unavailable(error)
        return BYPASS


def store_response(lookup: Lookup, response: bytes | None) -> None:
    """Store a computed response and release the lock; `None` only releases it.

    A response that is larger than the largest slot is not stored.
    """
    slot_key = find_slot(lookup.keys.response, len(response)) if response else ""
    try:
        _run_script(STORE_SCRIPT, lookup.keys, lookup.version, response or b"", slot_key)
    except OutOfMemoryError:
        pass  # The lock expires.
    except (RedisError, OSError) as error:
        _mark_unavailable(error)


def begin_write(namespace: str) -> str:
    """Stop the use of the namespace until `end_write`; return the writer's id for it.

    `begin_write`, `end_write` and `invalidate` raise the errors of Redis.
    """
    writer = secrets.token_hex(8)
    _run_script(BEGIN_WRITE_SCRIPT, _keys(namespace), writer)
    return writer


def end_write(namespace: str, writer: str) -> None:
    """Remove the writer; after the last one the namespace gets a new version."""
    _run_script(END_WRITE_SCRIPT, _keys(namespace), writer, secrets.token_hex(8))


def invalidate(namespace: str) -> None:
    """Give the namespace a new version, so that all its cached responses are invalid."""
    end_write(namespace, "")


def _look_up_or_lock(keys: RedisKeys) -> Lookup:
    version, response, locked = _run_script(READ_SCRIPT, keys, secrets.token_hex(8))
    if not version:
        return BYPASS
    return Lookup(keys, version, response and response[len(version) + 1 :], bool(locked))


def _keys(namespace: str, key: str = "") -> RedisKeys:
    root = f"{PREFIX}:{namespace}"
    return RedisKeys(
        f"{root}:state", f"{root}:writers", f"{root}:response:{key}", f"{root}:lock:{key}:"
    )


def _run_script(script: str, keys: RedisKeys, *arguments: str | bytes) -> Any:
    try:
        return _execute("EVALSHA", _sha1(script), len(keys), *keys, *arguments)
    except NoScriptError:
        return _execute("EVAL", script, len(keys), *keys, *arguments)


@cache
def _sha1(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()  # noqa: S324 - what EVALSHA takes


def _execute(*command: str | bytes | int) -> Any:
    """Send a command to Redis and return its reply.

    Uses the connection pool directly, because redis-py's client would double the time of a hit.
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
    """Return the pool of all threads; `django.core.cache` would cost a look-up for each command."""
    return get_redis_connection("default").connection_pool


def _mark_unavailable(error: Exception) -> None:
    """Send no commands for a moment, so that not every request waits for a timeout."""
    global unavailable_until
    unavailable_until = time.monotonic() + RETRY_INTERVAL_S
    log.warning("cache_unavailable", error=redacted_message(error))
