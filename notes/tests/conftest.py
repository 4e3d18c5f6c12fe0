from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common import ai
from common.jobs import runner
from common.tests.support.ai_provider import FakeProvider
from notes.models import Summary


@pytest.fixture
def provider(settings: Any) -> Iterator[FakeProvider]:
    """A provider for the summaries that are made in this process."""
    with FakeProvider() as provider:
        settings.OPENAI = settings.OPENAI | {
            "api_key": "sk-test",
            "base_url": provider.url,
            "model": "gpt-4o-mini",
            "wait_initial": 0.01,
            "wait_jitter": 0.01,
        }
        ai.summarizer.cache_clear()
        yield provider
    ai.summarizer.cache_clear()


@pytest.fixture
def run() -> Callable[[str], Summary]:
    """Run a summary's job in this process and return the stored row."""

    def run_job(pk: Any) -> Summary:
        runner.run(Summary, pk)
        return Summary.objects.get(pk=pk)

    return run_job
