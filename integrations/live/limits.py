"""How many streams a process serves, and how many of them one user may have."""

from collections import Counter
from threading import Lock
from uuid import UUID

from rest_framework.exceptions import Throttled

from common.api.exceptions import ServiceUnavailable

RETRY_AFTER_S = 10


class TooManyStreams(ServiceUnavailable):
    default_detail = "This server has as many streams as it may have. Try again later."
    default_code = "too_many_streams"
    wait = RETRY_AFTER_S


class TooManyOwnStreams(Throttled):
    default_detail = "You have as many streams as you may have: close one of them."
    default_code = "too_many_streams"
    # `Throttled` would add when to try again.
    extra_detail_singular = extra_detail_plural = ""

    def __init__(self) -> None:
        super().__init__(wait=RETRY_AFTER_S)


class StreamLimits:
    """The open streams of a process, counted by user."""

    def __init__(self, *, max_streams: int, max_per_user: int) -> None:
        self._max_streams = max_streams
        self._max_per_user = max_per_user
        self._lock = Lock()
        self._by_user: Counter[UUID] = Counter()

    def add(self, user_id: UUID) -> None:
        """Count a new stream; raise `TooManyStreams` or `TooManyOwnStreams`."""
        with self._lock:
            if self._by_user.total() >= self._max_streams:
                raise TooManyStreams
            if self._by_user[user_id] >= self._max_per_user:
                raise TooManyOwnStreams
            self._by_user[user_id] += 1

    def remove(self, user_id: UUID) -> None:
        with self._lock:
            self._by_user[user_id] -= 1
            if not self._by_user[user_id]:
                del self._by_user[user_id]
