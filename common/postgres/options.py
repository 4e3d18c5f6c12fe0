from typing import Any

from psycopg.conninfo import conninfo_to_dict

from common.postgres.liveness import WatchedConnection


def database(url: str, *, pool_size: int) -> dict[str, Any]:
    """Django's form of a libpq URL; SQLAlchemy's `postgresql+driver://` is read as well."""
    scheme, _, rest = url.partition("://")
    parts = conninfo_to_dict(f"{scheme.partition('+')[0]}://{rest}")
    return {
        "ENGINE": "common.postgres",
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        # A lost server is noticed at check-out (`base.py`); a short reconnect_timeout lets the pool
        # try afresh for each caller, so that answers come back as soon as the database does.
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "connect_timeout": 2,
            # For the few statements that are prepared; Django's own never are.
            "prepare_threshold": 0,
            **parts,
            "pool": {
                "min_size": 0,
                "max_size": pool_size,
                "timeout": 1.5,
                "reconnect_timeout": 1,
                "connection_class": WatchedConnection,
            },
        },
    }
