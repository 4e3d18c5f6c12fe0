"""Views that wait in Valkey until a task inserts them in batches.

They are the members of one sorted set, all with the score 0, so they are ordered by their text. A
second view of the day is the same member, and the views of a person are a range.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, NamedTuple, Self, TypeVar
from uuid import UUID

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError

from accounts.models import User
from common.ratelimit.circuit_breaker import CircuitBreaker

T = TypeVar("T")

KEY = "bureau:views:pending"
# 20 MB in Valkey. A view beyond this is inserted by its request.
MAX_PENDING_VIEWS = 100_000
SEPARATOR, AFTER_SEPARATOR = ":", ";"

breaker = CircuitBreaker("pending_views_store")


class PendingView(NamedTuple):
    company_id: UUID
    user_id: UUID
    product_id: UUID
    day: date

    @property
    def member(self) -> str:
        return SEPARATOR.join(map(str, self))

    @classmethod
    def parse(cls, member: bytes) -> Self:
        *ids, day = member.decode().split(SEPARATOR)
        company_id, user_id, product_id = map(UUID, ids)
        return cls(company_id, user_id, product_id, date.fromisoformat(day))


def add(view: PendingView) -> bool:
    """Add a view; return False if Valkey is unavailable or holds too many."""
    return bool(_call_redis(lambda redis: _add(redis, view)))


def read_of_person(user: User) -> list[PendingView]:
    """Return the views of a person that wait."""
    prefix = f"{user.company_id}{SEPARATOR}{user.pk}"
    low, high = f"[{prefix}{SEPARATOR}", f"({prefix}{AFTER_SEPARATOR}"
    return _parse_all(_call_redis(lambda redis: redis.zrangebylex(KEY, low, high)))


def read_batch(size: int) -> list[PendingView]:
    """Return the first views of all; they stay until `remove`."""
    return _parse_all(_call_redis(lambda redis: redis.zrange(KEY, 0, size - 1)))


def remove(views: Iterable[PendingView]) -> bool:
    """Remove views; return False if Valkey is unavailable."""
    members = [view.member for view in views]
    return _call_redis(lambda redis: redis.zrem(KEY, *members)) is not None


def _parse_all(members: Any) -> list[PendingView]:
    return [PendingView.parse(member) for member in members or ()]


def _add(redis: Redis, view: PendingView) -> bool:
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.zadd(KEY, {view.member: 0})
        pipeline.zcard(KEY)
        _, count = pipeline.execute()
    if count <= MAX_PENDING_VIEWS:
        return True
    redis.zrem(KEY, view.member)
    return False


def _call_redis(call: Callable[[Redis], T]) -> T | None:
    if not breaker.allow_call():
        return None
    try:
        result = call(get_redis_connection())
    except (RedisError, OSError) as error:
        breaker.record_failure(error)
        return None
    breaker.record_success()
    return result
