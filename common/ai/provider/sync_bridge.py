"""A coroutine run to its end in the calling thread, with errands run between the loop's steps.

Django refuses its database where an event loop is running, and gives every thread a connection of
its own. So the loop is stopped for each errand, which then runs in the caller's thread like any
other of its code, and the coroutine goes on with what it returned.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LAST_WORDS = 2.0  # seconds that an interrupted coroutine has to put its books in order


class Desk:
    """Where a coroutine leaves errands for the thread that runs it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._errands: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._closed = False

    def ask(self, errand: Callable[[], T], *, always: bool = False) -> asyncio.Future[T]:
        """The future result of `errand`. If that is cancelled before its turn has come, the
        errand is not run, except when it has to be `always`."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._errands.append((errand, future))
        self._loop.stop()
        return asyncio.shield(future) if always else future

    def close(self) -> None:
        """No errand comes after this."""
        self._closed = True
        self._loop.stop()

    def serve(self) -> None:
        """Lets the loop run, and runs the errands, until the desk is closed."""
        while self._errands or not self._closed:
            if self._errands:
                _run(*self._errands.popleft())
            else:
                self._loop.run_forever()


def _run(errand: Callable[[], T], future: "asyncio.Future[T]") -> None:
    if future.cancelled():
        return
    try:
        future.set_result(errand())
    except Exception as error:
        future.set_exception(error)


def drive(main: Callable[[Desk], Coroutine[Any, Any, T]]) -> T:
    """What `main` returns or raises.

    When the thread itself is interrupted (Ctrl-C, a time limit of Celery's), `main` is cancelled
    and may still leave its last errands before the interruption goes on.
    """
    loop = asyncio.new_event_loop()
    try:
        desk = Desk(loop)
        task = loop.create_task(main(desk))
        task.add_done_callback(lambda _: desk.close())
        try:
            desk.serve()
        except BaseException:
            task.cancel()
            loop.call_later(LAST_WORDS, desk.close)
            desk.serve()
            raise
        return task.result()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
