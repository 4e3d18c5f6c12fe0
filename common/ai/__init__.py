"""Summaries and other texts by any OpenAI-compatible provider, or an embedded summariser."""

from functools import cache

import structlog
from django.conf import settings

from common.ai.types import (
    ProviderTimeout,
    ProviderUnavailable,
    Summarizer,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    Writer,
    WritingTask,
    find_price,
)

__all__ = [
    "ProviderTimeout",
    "ProviderUnavailable",
    "SummaryRefused",
    "SummaryRequest",
    "SummaryResult",
    "WritingTask",
    "summarizer",
    "writer",
]

log = structlog.get_logger(__name__)


@cache
def summarizer() -> Summarizer:
    """Return the summariser of the settings: the provider's if there is a key."""
    if settings.OPENAI["api_key"]:
        from common.ai.provider.summarizer import OpenAISummarizer

        model = settings.OPENAI["model"]
        if find_price(model, settings.OPENAI["prices"]) is None:
            log.warning("model_without_price", model=model, hint="Set OPENAI_PRICES.")
        return OpenAISummarizer(**settings.OPENAI)
    from common.ai.extractive.summarizer import EmbeddedSummarizer

    return EmbeddedSummarizer()


@cache
def writer() -> Writer | None:
    """Return the provider's model that writes texts, `None` without a key."""
    if not settings.OPENAI["api_key"]:
        return None
    from common.ai.provider.writer import OpenAIWriter

    return OpenAIWriter(**settings.OPENAI)
