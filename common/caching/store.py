"""Versions and copies in Redis. A hit costs one MGET; all else is decided by scripts."""

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
# Bounds what a lost word of the cache could do: no copy is older than this (milliseconds).
LIFETIME = 60_000
# How long one caller may compute while the others wait (milliseconds).
LOCK = 5_000
# A writer that says nothing for so long has died (seconds).
WRITER = 30
# Seconds for which a cache that failed is left alone.
PAUSE = 1.0

# The state of a namespace is its version, or "" while somebody writes. All scripts take it and
# the set of writers as their first keys.
_STATE = """
local function state(fresh)
  local now = tonumber(redis.call('TIME')[1])
  if redis.call('ZCOUNT', KEYS[2], now, '+inf') > 0 then
    redis.call('SET', KEYS[1], '', 'EX', %d)
    return ''
  end
  local known = redis.call('GET', KEYS[1])
  if not known or known == '' then
    known = fresh
    redis.call('SET', KEYS[1], known)
  end
  return known
end
"""

# Also the copy and its lock. ARGV: a version for where there is none.
CLAIM = f"""{_STATE % WRITER}
local version = state(ARGV[1])
if version == '' then return {{'', false, 0}} end
local copy = redis.call('GET', KEYS[3])
if copy and string.sub(copy, 1, #version + 1) == version .. '\\n' then
  return {{version, copy, 0}}
end
local mine = redis.call('SET', KEYS[4] .. version, 1, 'NX', 'PX', {LOCK})
return {{version, false, mine and 1 or 0}}
"""

# Also the copy and its lock. ARGV: the version that the copy was computed under, and the copy.
STORE = f"""
redis.call('DEL', KEYS[4] .. ARGV[1])
if ARGV[2] ~= '' and redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[3], ARGV[1] .. '\\n' .. ARGV[2], 'PX', {LIFETIME})
end
"""

# ARGV: the writer.
ANNOUNCE = f"""
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + {WRITER}, ARGV[1])
redis.call('EXPIRE', KEYS[2], {2 * WRITER})
redis.call('SET', KEYS[1], '', 'EX', {WRITER})
"""

# ARGV: the writer and a new version.
END = f"""{_STATE % WRITER}
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
state(ARGV[2])
"""


@dataclass(frozen=True, slots=True)
class Slot:
    """What the cache says of a key: a `copy`, or whether the caller is to compute it (`mine`)."""

    keys: tuple[str, ...] = ()
    version: bytes = b""
    copy: bytes | None = None
    mine: bool = False


# Nothing to wait for and nothing to store.
BYPASS = Slot()

_away_until = 0.0


def read(namespace: str, key: str) -> Slot:
    """The copy of `key`, or who computes it; `BYPASS` while somebody writes or without a cache."""
    if time.monotonic() < _away_until:
        return BYPASS
    keys = _keys(namespace, key)
    try:
        version, copy = _ask("MGET", keys[0], keys[2])
        if version and copy and copy.startswith(version + b"\n"):
            return Slot(keys, version, copy[len(version) + 1 :])
        return BYPASS if version == b"" else _claimed(keys)
    except (RedisError, OSError) as error:
        _failed(error)
        return BYPASS


def write(slot: Slot, copy: bytes | None) -> None:
    """Store what was computed, or with `None` let another caller try."""
    try:
        _run(STORE, slot.keys, slot.version, copy or b"")
    except (RedisError, OSError) as error:
        _failed(error)


def announce(namespace: str) -> str:
    """Say that somebody writes; returns the name to end it by. Raises when the cache is away."""
    writer = secrets.token_hex(8)
    _run(ANNOUNCE, _keys(namespace), writer)
    return writer


def end(namespace: str, writer: str = "") -> None:
    """Say that a write has ended: from here on only newer copies count. Raises as `announce`."""
    _run(END, _keys(namespace), writer, secrets.token_hex(8))


def _claimed(keys: tuple[str, ...]) -> Slot:
    version, copy, mine = _run(CLAIM, keys, secrets.token_hex(8))
    if not version:
        return BYPASS
    return Slot(keys, version, copy and copy[len(version) + 1 :], bool(mine))


def _keys(namespace: str, key: str = "") -> tuple[str, ...]:
    """Of the state, the writers, the copy and its lock."""
    root = f"{PREFIX}:{namespace}"
    return f"{root}:state", f"{root}:writers", f"{root}:copy:{key}", f"{root}:lock:{key}:"


def _run(script: str, keys: tuple[str, ...], *arguments: str | bytes) -> Any:
    try:
        return _ask("EVALSHA", _sha(script), len(keys), *keys, *arguments)
    except NoScriptError:
        return _ask("EVAL", script, len(keys), *keys, *arguments)


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()  # noqa: S324 - what EVALSHA takes


def _ask(*command: str | bytes | int) -> Any:
    """The answer to a command. The client around the pool would take as long as the rest of it."""
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
    """Django looks its caches up by thread and by name; a pool serves all threads."""
    return get_redis_connection("default").connection_pool


def _failed(error: Exception) -> None:
    """Leave the cache alone for a moment, so that not every request waits for it in vain."""
    global _away_until
    _away_until = time.monotonic() + PAUSE
    log.warning("cache_away", error=redacted_message(error))
