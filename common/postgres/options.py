from typing import Any

from psycopg.conninfo import conninfo_to_dict

from common.postgres.liveness import MonitoredConnection

# A transaction that is forgotten would hold back the readers of events, and keeps its locks.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 300_000
NO_IDLE_TIMEOUT = "SET LOCAL idle_in_transaction_session_timeout = 0"


def database_settings(url: str, *, pool_size: int) -> dict[str, Any]:
    """Return the value of `DATABASES["default"]` for a libpq URL."""
    parts = conninfo_to_dict(url)
    timeout = f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
    # PostgreSQL takes the last value, so an operator's own one counts.
    options = f"{timeout} {parts.pop('options', '')}".strip()
    return {
        "ENGINE": "common.postgres",
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        # `base.py` checks each connection that the pool gives out.
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "connect_timeout": 2,
            # Only for statements that are prepared explicitly; Django prepares none.
            "prepare_threshold": 0,
            "options": options,
            **parts,
            "pool": {
                "min_size": 0,
                "max_size": pool_size,
                "timeout": 1.5,
                # Short, so that the pool tries again for each caller and recovers with the server.
                "reconnect_timeout": 1,
                "connection_class": MonitoredConnection,
            },
        },
    }
