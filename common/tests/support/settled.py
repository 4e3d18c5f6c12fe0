from common.events.models import Event
from common.events.querysets import OldestRunningTransaction
from common.tests.support.waiting import eventually


def wait_until_settled() -> None:
    """Wait until readers may read all events.

    Transactions of all databases of the server count, also those of tests in other processes.
    """
    eventually(
        lambda: not Event.objects.filter(xid__gte=OldestRunningTransaction()).exists(),
        "all events are settled",
    )
