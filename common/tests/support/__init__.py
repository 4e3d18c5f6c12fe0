"""Real parts for tests: workers, beat and a broker that can be killed, stopped and continued."""

from common.tests.support.broker import Broker
from common.tests.support.db_blocking import Hold, held, refused, table_held
from common.tests.support.waiting import eventually
from common.tests.support.worker import Beat, Worker

__all__ = ["Beat", "Broker", "Hold", "Worker", "eventually", "held", "refused", "table_held"]
