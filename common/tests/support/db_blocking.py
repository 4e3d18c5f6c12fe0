"""A place in the database where whoever comes is held, so that a test can act at that moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

KEY = 20_261_122


class Hold:
    """A connection of its own that keeps a lock until `release`."""

    def __init__(self, session: BaseDatabaseWrapper) -> None:
        self._session = session

    def take(self, statement: str) -> Self:
        self._session.set_autocommit(False)
        with self._session.cursor() as cursor:
            cursor.execute(statement)
        return self

    def release(self) -> None:
        self._session.rollback()
        self._session.set_autocommit(True)


@contextmanager
def _hold(statement: str) -> Iterator[Hold]:
    session = connection.copy()
    try:
        hold = Hold(session).take(statement)
        yield hold
        hold.release()
    finally:
        session.close()


@contextmanager
def table_held(model: type[Model]) -> Iterator[Hold]:
    """Nobody else reads or writes the model's rows."""
    with _hold(f"LOCK TABLE {model._meta.db_table} IN ACCESS EXCLUSIVE MODE") as hold:
        yield hold


@contextmanager
def held(model: type[Model], when: str) -> Iterator[Hold]:
    """Hold each UPDATE of the model's rows for which `when` is true of OLD and NEW."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock_shared({KEY}); RETURN NEW; END $$;
            CREATE TRIGGER held BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({when})
            EXECUTE FUNCTION held();
            """
        )
    try:
        with _hold(f"SELECT pg_advisory_xact_lock({KEY})") as hold:
            yield hold
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER held ON {table}; DROP FUNCTION held;")


@contextmanager
def refused(model: type[Model], when: str) -> Iterator[None]:
    """The table takes no row for which `when` is true."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK (NOT ({when})) NOT VALID")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT refused")
