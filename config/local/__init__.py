"""PostgreSQL and Valkey of a developer's machine, and the runner of `make run`.

Nothing here imports Django, because the settings use the servers' addresses.
"""

from config.local.locks import LocalServiceError
from config.local.services import LocalServices

__all__ = ["LocalServiceError", "LocalServices"]
