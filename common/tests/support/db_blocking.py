"""Making other database sessions wait or fail at a chosen statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

ADVISORY_LOCK_KEY = 20_261_122


class DatabaseLock:
    """A lock in a separate database session; other sessions wait for it until `release`."""

    def __init__(self, session: BaseDatabaseWrapper) -> None:
        self._session = session

    def acquire(self, statement: str) -> Self:
        self._session.set_autocommit(False)
        with self._session.cursor() as cursor:
            cursor.execute(statement)
        return self

    def release(self) -> None:
        self._session.rollback()
        self._session.set_autocommit(True)


@contextmanager
def _lock(statement: str) -> Iterator[DatabaseLock]:
    session = connection.copy()
    try:
        lock = DatabaseLock(session).acquire(statement)
        yield lock
        lock.release()
    finally:
        session.close()


@contextmanager
def lock_table(model: type[Model]) -> Iterator[DatabaseLock]:
    """Make all reads and writes of the model's table wait."""
    with _lock(f"LOCK TABLE {model._meta.db_table} IN ACCESS EXCLUSIVE MODE") as lock:
        yield lock


@contextmanager
def block_updates(model: type[Model], condition: str) -> Iterator[DatabaseLock]:
    """Make those UPDATEs of the model's rows wait for which `condition` on OLD and NEW is true."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION block_update() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock_shared({ADVISORY_LOCK_KEY}); RETURN NEW; END $$;
            CREATE TRIGGER block_update BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition})
            EXECUTE FUNCTION block_update();
            """
        )
    try:
        with _lock(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK_KEY})") as lock:
            yield lock
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER block_update ON {table}; DROP FUNCTION block_update;")


@contextmanager
def reject_rows(model: type[Model], condition: str) -> Iterator[None]:
    """Make writes of rows fail for which `condition` is true."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT rejected CHECK (NOT ({condition})) NOT VALID"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT rejected")
