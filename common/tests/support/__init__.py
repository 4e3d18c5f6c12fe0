"""Real workers, beat and brokers that a test can kill, suspend and resume."""

from common.tests.support.broker import Broker
from common.tests.support.db_blocking import DatabaseLock, block_updates, lock_table, reject_rows
from common.tests.support.waiting import eventually
from common.tests.support.worker import Beat, Worker

__all__ = [
    "Beat",
    "Broker",
    "DatabaseLock",
    "Worker",
    "block_updates",
    "eventually",
    "lock_table",
    "reject_rows",
]
