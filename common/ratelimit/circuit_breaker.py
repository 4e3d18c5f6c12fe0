import time
from threading import Lock

import structlog

from common.redaction import redacted_message

log = structlog.get_logger(__name__)

RETRY_INTERVAL_S = 2.0


class CircuitBreaker:
    """After a failure allows one call per `RETRY_INTERVAL_S`, so that other requests don't wait.

    store: the name of what is called, for the log.
    """

    def __init__(self, store: str = "rate_limit_store") -> None:
        self._store = store
        self._lock = Lock()
        self._is_closed = True
        self._next_attempt = 0.0

    def allow_call(self) -> bool:
        if self._is_closed:
            return True
        with self._lock:
            if time.monotonic() < self._next_attempt:
                return False
            self._next_attempt = time.monotonic() + RETRY_INTERVAL_S
            return True

    def record_failure(self, error: Exception) -> None:
        with self._lock:
            is_first, self._is_closed = self._is_closed, False
            self._next_attempt = time.monotonic() + RETRY_INTERVAL_S
        if is_first:
            log.warning(f"{self._store}_unavailable", error=redacted_message(error))

    def record_success(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            log.info(f"{self._store}_available")
