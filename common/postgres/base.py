"""The backend that `ENGINE = "common.postgres"` loads."""

from select import POLLIN, poll
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout

from common.postgres.liveness import monitor


class DatabaseWrapper(base.DatabaseWrapper):
    """Checks a pooled connection locally instead of with a query before each request."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        monitor.check_before_connect(conn_params)
        try:
            connection = super().get_new_connection(conn_params)
            pool: Any = self.pool  # type: ignore[attr-defined]
            while pool and _is_closed_by_server(connection):
                # The pool replaces a closed connection.
                pool.putconn(connection)
                connection = super().get_new_connection(conn_params)
        except PoolTimeout:
            monitor.check_after_pool_timeout()
            raise
        return connection


def _is_closed_by_server(connection: psycopg.Connection) -> bool:
    """Return whether the server has ended the session.

    If an idle connection has unread data, that is mostly the server's last message.
    """
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
