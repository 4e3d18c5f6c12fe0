from collections.abc import Callable
from typing import TypeVar

import stamina
from django.db import OperationalError, connection

T = TypeVar("T")

RETRY_TIMEOUT_S = 120


def retry_on_disconnect(write: Callable[[], T]) -> T:
    """Call `write`, and call it again while the database is unavailable, for up to two minutes.

    For expensive results, which must not be lost when the database restarts.
    """
    for attempt in stamina.retry_context(OperationalError, attempts=None, timeout=RETRY_TIMEOUT_S):
        with attempt:
            if attempt.num > 1:
                connection.close_if_unusable_or_obsolete()
            return write()
    raise AssertionError("unreachable: the last attempt raises")
