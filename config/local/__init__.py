"""The servers that a laptop runs for itself, and the runner of `make run`.

Nothing here imports Django: settings ask this package where the servers are.
"""

from config.local.locks import LocalServiceError
from config.local.services import LocalServices

__all__ = ["LocalServiceError", "LocalServices"]
