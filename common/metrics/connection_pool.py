"""How the connections to the database are used, looked at every few seconds in each process."""

import os
import threading
import time
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from common.metrics import instruments as i

PAUSE = 2.0

_watched = 0


def watch() -> None:
    """From a process's first connection on, keep an eye on its pool."""
    connection_created.connect(_begin, dispatch_uid="metrics")


def _begin(**_: Any) -> None:
    global _watched
    if _watched != os.getpid():
        _watched = os.getpid()
        threading.Thread(target=_look, daemon=True, name="pool-metrics").start()


def _look() -> None:
    while True:
        # Not by its property `pool`, which would make one.
        pools: Any = getattr(connections["default"], "_connection_pools", {})
        pool = pools.get("default")
        if pool is not None:
            stats = pool.get_stats()
            i.POOL_SIZE.set(stats["pool_size"])
            i.POOL_AVAILABLE.set(stats["pool_available"])
            i.POOL_WAITING.set(stats["requests_waiting"])
            i.POOL_MAX.set(stats["pool_max"])
        time.sleep(PAUSE)
