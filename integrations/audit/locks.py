from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

LOCK_ID = 7_310_019  # an advisory lock of the database


@contextmanager
def lock_chains() -> Iterator[None]:
    """Open a transaction that no other one changes the chains beside."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_ID])
        yield
