"""What Django loads as `ENGINE`: "common.postgres"."""

from typing import Any

from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout

from common.postgres.pulse import pulse


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        pulse.check_back(conn_params)
        try:
            return super().get_new_connection(conn_params)
        except PoolTimeout:
            pulse.suspect()
            raise
