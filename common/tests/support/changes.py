from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import structlog
from structlog.testing import capture_logs

from common.events import recording


@contextmanager
def capture_changes() -> Iterator[list[dict[str, Any]]]:
    """Collect what `common.events.record` logs inside the context.

    The module's own logger may be cached with other processors by then.
    """
    with patch.object(recording, "log", structlog.get_logger()), capture_logs() as lines:
        yield lines
