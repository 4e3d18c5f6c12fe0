"""What Django loads as `ENGINE`: "common.postgres"."""

from select import POLLIN, poll
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout

from common.postgres.liveness import pulse


class DatabaseWrapper(base.DatabaseWrapper):
    """Looks at a connection of the pool instead of asking the server whether it still holds:
    that would be one question more for each request."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        pulse.check_back(conn_params)
        try:
            connection = super().get_new_connection(conn_params)
            pool: Any = self.pool  # type: ignore[attr-defined]
            while pool and _has_ended(connection):
                # The pool replaces what is closed.
                pool.putconn(connection)
                connection = super().get_new_connection(conn_params)
        except PoolTimeout:
            pulse.suspect()
            raise
        return connection


def _has_ended(connection: psycopg.Connection) -> bool:
    """Whether the server has ended the session: what it says unasked is mostly that it goes."""
    unread = poll()
    unread.register(connection.fileno(), POLLIN)
    if not unread.poll(0):
        return False
    try:
        connection.execute("")
    except psycopg.Error:
        connection.close()
        return True
    return False
