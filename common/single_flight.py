"""Call a function that may hang with a timeout, and never twice at the same time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """A function that runs in its own thread, at most once at a time.

    Callers that arrive meanwhile wait for the same result. So a server that hangs occupies one
    thread and one connection, however many callers there are.
    """

    def __init__(self, name: str, function: Callable[[], T]) -> None:
        self._function = function
        self._lock = Lock()
        self._future: Future[T] | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def start(self) -> Future[T]:
        """Start the function unless it is running, and return the future of its result."""
        with self._lock:
            if self._future is None or self._future.done():
                # With the first caller's context, so that log lines have its request id.
                self._future = self._executor.submit(copy_context().run, self._function)
            return self._future

    def call(self, *, timeout_s: float) -> T:
        """Return the function's result or raise its error; raise `TimeoutError` if it is late."""
        return self.start().result(timeout=timeout_s)
