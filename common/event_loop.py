"""Run a coroutine in the calling thread, with blocking work between its steps.

The loop runs in the thread that calls `summarize`. Ctrl-C and Celery's time limit interrupt that
thread and so end the loop; `asyncio.Runner` then cancels all requests, which close their rows in
the ledger. asgiref's `async_to_sync` runs the loop in another thread and does not stop it when the
calling thread is interrupted: requests would go on, and their rows would stay open.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class _LookupExecutor(ThreadPoolExecutor):
    """The threads that look up host names; a look-up that hangs does not delay the loop's end."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def run_in_calling_thread(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the coroutine's result; its tasks are cancelled if the thread is interrupted."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(_LookupExecutor())
        return runner.run(coroutine)


@contextmanager
def outside_event_loop() -> Iterator[None]:
    """Let a coroutine call blocking code of Django; all other tasks wait meanwhile.

    Django refuses database access in a thread with a running event loop, and asyncio has no public
    function to suspend the loop from within a coroutine.
    """
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
