"""Asking what may never answer, without waiting for it and without asking twice."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from contextvars import copy_context
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")

__all__ = ["Inquiry", "TooSlow"]


class Inquiry(Generic[T]):
    """A question that is asked in a thread of its own.

    Who asks while an answer is still outstanding waits for that one: a server that hangs costs one
    thread and one connection, however often it is asked.
    """

    def __init__(self, name: str, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._outstanding: Future[T] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def start(self) -> Future[T]:
        with self._lock:
            if self._outstanding is None or self._outstanding.done():
                # In the context of who asks first, whose request id the log lines carry.
                self._outstanding = self._thread.submit(copy_context().run, self._ask)
            return self._outstanding

    def answer(self, patience: float) -> T:
        """The answer within so many seconds; raises `TooSlow`, or what the question raised."""
        return self.start().result(timeout=patience)


def within(deadline: float) -> float:
    """The seconds that are left until `deadline`, by `time.monotonic`; 0 where it has passed."""
    return max(0.0, deadline - time.monotonic())
