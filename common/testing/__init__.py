"""Real parts for tests: workers, beat and a broker that can be killed, stopped and continued."""

from common.testing.broker import Broker
from common.testing.held import Hold, held, refused, table_held
from common.testing.waiting import eventually
from common.testing.worker import Beat, Worker

__all__ = ["Beat", "Broker", "Hold", "Worker", "eventually", "held", "refused", "table_held"]
