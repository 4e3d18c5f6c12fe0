from collections.abc import Callable
from typing import Any

import pytest

from common.jobs import runner
from notes.models import Summary


@pytest.fixture
def run() -> Callable[[str], Summary]:
    """Run a summary's job in this process and return the stored row."""

    def run_job(pk: Any) -> Summary:
        runner.run(Summary, pk)
        return Summary.objects.get(pk=pk)

    return run_job
