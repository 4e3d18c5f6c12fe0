"""Summaries by any OpenAI-compatible provider, or by an embedded summariser."""

from functools import cache

import structlog
from django.conf import settings

from common.ai.types import (
    ProviderUnavailable,
    Summarizer,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    find_price,
)

__all__ = [
    "ProviderUnavailable",
    "SummaryRefused",
    "SummaryRequest",
    "SummaryResult",
    "summarizer",
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
