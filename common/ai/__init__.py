"""Summaries by any OpenAI-compatible provider, or without one by an embedded summariser."""

from functools import cache

import structlog
from django.conf import settings

from common.ai.types import (
    ProviderUnavailable,
    Summarizer,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    price_of,
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
    """The summariser that the settings name: the provider's with a key, else the embedded one."""
    if settings.OPENAI["api_key"]:
        from common.ai.provider.summarizer import OpenAISummarizer

        model = settings.OPENAI["model"]
        if price_of(model, settings.OPENAI["prices"]) is None:
            log.warning(
                "model_without_price", model=model, set="OPENAI_PRICES", until_then="costs 0"
            )
        return OpenAISummarizer(**settings.OPENAI)
    from common.ai.extractive.summarizer import EmbeddedSummarizer

    return EmbeddedSummarizer()
