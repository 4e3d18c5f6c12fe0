from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from common.events.models import Event
from common.events.querysets import ALLOW_CHANGES
from common.tests.support.events import wait_until_settled
from integrations.audit.chain import extend_chains
from integrations.audit.models import AuditChain, AuditLink


def chain_all() -> int:
    wait_until_settled()
    return extend_chains()


def execute(*statements: str) -> None:
    """Change the tables as somebody with access to the database could."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ALLOW_CHANGES)
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def tables_put_back() -> Iterator[None]:
    """Undo what is done to the tables of the audit log."""
    events, chains = list(Event.objects.all()), list(AuditChain.objects.all())
    links = list(AuditLink.objects.all())
    try:
        yield
    finally:
        with transaction.atomic():
            execute(
                "DELETE FROM integrations_auditlink",
                "DELETE FROM integrations_auditchain",
                "DELETE FROM common_event",
            )
            AuditChain.objects.bulk_create(chains)
            AuditLink.objects.bulk_create(links)
            Event.objects.bulk_create(events)
