"""Summaries by any OpenAI-compatible provider, or without one by an embedded summariser."""

from functools import cache

from django.conf import settings

from common.ai.types import (
    ProviderUnavailable,
    Summarizer,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
)

__all__ = [
    "ProviderUnavailable",
    "SummaryRefused",
    "SummaryRequest",
    "SummaryResult",
    "summarizer",
]


@cache
def summarizer() -> Summarizer:
    """The summariser that the settings name: the provider's with a key, else the embedded one."""
    if settings.OPENAI["api_key"]:
        from common.ai.openai import OpenAISummarizer

        return OpenAISummarizer(**settings.OPENAI)
    from common.ai.embedded import EmbeddedSummarizer

    return EmbeddedSummarizer()
