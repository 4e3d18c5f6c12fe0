"""A coroutine run to its end in the calling thread, with errands run between the loop's steps.

Django refuses its database where an event loop is running, and gives every thread a connection of
its own. So the loop is stopped for each errand, which then runs in the caller's thread like any
other of its code, and the coroutine goes on with what it returned.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Desk:
    """Where a coroutine leaves errands for the thread that runs it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inbox: asyncio.Queue[tuple[Callable[[], Any], asyncio.Future[Any]] | None]
        self._inbox = asyncio.Queue()

    def ask(self, errand: Callable[[], T], *, always: bool = False) -> asyncio.Future[T]:
        """The future result of `errand`. If that is cancelled before its turn has come, the
        errand is not run, except when it has to be `always`."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._inbox.put_nowait((errand, future))
        return asyncio.shield(future) if always else future

    def close(self) -> None:
        """No errand comes after this."""
        self._inbox.put_nowait(None)

    def serve(self) -> None:
        """Lets the loop run, and runs the errands, until the desk is closed."""
        while (item := self._loop.run_until_complete(self._inbox.get())) is not None:
            errand, future = item
            if not future.cancelled():
                _run(errand, future)


def _run(errand: Callable[[], T], future: "asyncio.Future[T]") -> None:
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
            desk.serve()
            raise
        return task.result()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
