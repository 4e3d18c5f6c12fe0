"""Gauges of the database connection pool, updated every few seconds in each process."""

import os
import threading
import time
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from common.metrics.registry import gauge

UPDATE_INTERVAL_S = 2.0

SIZE = gauge("database_pool_size", "Connections to the database.")
AVAILABLE = gauge("database_pool_available", "Idle connections to the database.")
WAITING = gauge("database_pool_waiting", "Threads that wait for a connection.")
MAX = gauge("database_pool_max", "Maximum number of connections.")

_monitored_pid = 0


def monitor() -> None:
    """Start the updates with the first connection of each process."""
    connection_created.connect(_start_thread, dispatch_uid="metrics")


def _start_thread(**_: Any) -> None:
    global _monitored_pid
    if _monitored_pid != os.getpid():
        _monitored_pid = os.getpid()
        threading.Thread(target=_update_forever, daemon=True, name="pool-metrics").start()


def _update_forever() -> None:
    while True:
        # Not the public property `pool`, which would create a pool.
        pools: Any = getattr(connections["default"], "_connection_pools", {})
        pool = pools.get("default")
        if pool is not None:
            stats = pool.get_stats()
            SIZE.set(stats["pool_size"])
            AVAILABLE.set(stats["pool_available"])
            WAITING.set(stats["requests_waiting"])
            MAX.set(stats["pool_max"])
        time.sleep(UPDATE_INTERVAL_S)
