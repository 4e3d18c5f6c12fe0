from collections.abc import Callable
from typing import Any

from common.events.models import Event
from common.events.querysets import OldestRunningTransaction
from common.tests.support.waiting import eventually

# The fixture `recorded_events`.
RecordedEvents = Callable[[Callable[[], Any]], list[tuple[str, str, str]]]


def wait_until_settled() -> None:
    """Wait for the transactions of other test processes, which hold back all readers of events."""
    waiting = Event.objects.filter(xid__gte=OldestRunningTransaction())
    eventually(lambda: not waiting.exists(), "the events are settled")
