"""The scripts that keep versions and copies in Redis; one round trip each."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import structlog
from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import NoScriptError, RedisError

log = structlog.get_logger(__name__)

PREFIX = "bureau:bytes"
# Bounds what a lost word of the cache could do: no copy is older than this.
LIFETIME = 60_000
# How long one caller may compute while the others wait, in milliseconds.
LOCK = 5_000
# A writer that says nothing for so long has died; in seconds.
WRITER = 30
# Seconds for which a cache that failed is left alone.
PAUSE = 1.0

# KEYS: version, writers. ARGV: prefix, key, a version for where there is none.
# Answers the version, "" while somebody writes; the copy; whether the caller is to compute it.
READ = f"""
local now = tonumber(redis.call('TIME')[1])
if redis.call('EXISTS', KEYS[2]) == 1 and redis.call('ZCOUNT', KEYS[2], now, '+inf') > 0 then
  return {{'', false, 0}}
end
local version = redis.call('GET', KEYS[1])
if not version then
  version = ARGV[3]
  redis.call('SET', KEYS[1], version)
end
local key = ARGV[1] .. version .. ':' .. ARGV[2]
local copy = redis.call('GET', key)
if copy then return {{version, copy, 0}} end
local mine = redis.call('SET', key .. ':lock', 1, 'NX', 'PX', {LOCK})
return {{version, false, mine and 1 or 0}}
"""

# KEYS: version, writers. ARGV: a new version, the writer.
ANNOUNCE = f"""
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + {WRITER}, ARGV[2])
redis.call('EXPIRE', KEYS[2], {2 * WRITER})
redis.call('SET', KEYS[1], ARGV[1])
"""

END = """
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
"""


@dataclass(frozen=True, slots=True)
class Slot:
    """What the cache says of a key: a `copy`, or whether the caller is to compute it (`mine`)."""

    key: str
    copy: bytes | None = None
    mine: bool = False


# In these cases there is nothing to wait for and nothing to store.
BYPASS = Slot("")

_away_until = 0.0


def read(namespace: str, key: str) -> Slot:
    """The copy of `key`, or who computes it; `BYPASS` while somebody writes or without a cache."""
    if time.monotonic() < _away_until:
        return BYPASS
    prefix = f"{PREFIX}:{namespace}:"
    try:
        version, copy, mine = _run(READ, _keys(namespace), prefix, key, _new())
    except (RedisError, OSError) as error:
        _failed(error)
        return BYPASS
    return Slot(f"{prefix}{version.decode()}:{key}", copy, bool(mine)) if version else BYPASS


def write(slot: Slot, copy: bytes | None) -> None:
    """Store what was computed, or with `None` let another caller try."""
    try:
        pipe = _redis().pipeline(transaction=False)
        if copy is not None:
            pipe.set(slot.key, copy, px=LIFETIME)
        pipe.delete(f"{slot.key}:lock")
        pipe.execute()
    except (RedisError, OSError) as error:
        _failed(error)


def announce(namespace: str) -> str:
    """Say that somebody writes; returns the name to end it by. Raises when the cache is away."""
    writer = _new()
    _run(ANNOUNCE, _keys(namespace), _new(), writer)
    return writer


def end(namespace: str, writer: str = "") -> None:
    """Say that a write has ended: from here on only newer copies count. Raises as `announce`."""
    _run(END, _keys(namespace), _new(), writer)


def _keys(namespace: str) -> tuple[str, str]:
    return f"{PREFIX}:version:{namespace}", f"{PREFIX}:writers:{namespace}"


def _new() -> str:
    return secrets.token_hex(8)


def _run(script: str, keys: tuple[str, ...], *arguments: str) -> Any:
    redis = _redis()
    try:
        return redis.evalsha(_sha(script), len(keys), *keys, *arguments)
    except NoScriptError:
        return redis.eval(script, len(keys), *keys, *arguments)


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()  # noqa: S324 - what EVALSHA takes


def _redis() -> Redis:
    return get_redis_connection("default")


def _failed(error: Exception) -> None:
    """Leave the cache alone for a moment, so that not every request waits for it in vain."""
    global _away_until
    _away_until = time.monotonic() + PAUSE
    log.warning("cache_away", error=repr(error))
