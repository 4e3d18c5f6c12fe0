"""The AI provider, and the prices of its models."""

from decimal import Decimal
from typing import Any

from common.ai.types import Price
from config.settings.runtime import env

# USD per million tokens of text: prompt, completion, cached prompt. A name stands for that model
# and its dated snapshots (`gpt-5-2025-08-07`) only. `OPENAI_PRICES` adds and replaces entries.
MODEL_PRICES = {
    "gpt-3.5-turbo": ("0.50", "1.50", "0.50"),
    "gpt-3.5-turbo-0125": ("0.50", "1.50", "0.50"),
    "gpt-4o": ("2.50", "10.00", "1.25"),
    "gpt-4o-2024-05-13": ("5.00", "15.00", "5.00"),
    "gpt-4o-mini": ("0.15", "0.60", "0.075"),
    "gpt-4.1": ("2.00", "8.00", "0.50"),
    "gpt-4.1-mini": ("0.40", "1.60", "0.10"),
    "gpt-4.1-nano": ("0.10", "0.40", "0.025"),
    "gpt-5": ("1.25", "10.00", "0.125"),
    "gpt-5-mini": ("0.25", "2.00", "0.025"),
    "gpt-5-nano": ("0.05", "0.40", "0.005"),
    "gpt-5-pro": ("15.00", "120.00", "15.00"),
    "gpt-5.1": ("1.25", "10.00", "0.125"),
    "gpt-5.2": ("1.75", "14.00", "0.175"),
    "gpt-5.4": ("2.50", "15.00", "0.25"),
    "gpt-5.4-mini": ("0.75", "4.50", "0.075"),
    "gpt-5.4-nano": ("0.20", "1.25", "0.02"),
    "text-embedding-3-large": ("0.13", "0", "0.13"),
    "text-embedding-3-small": ("0.02", "0", "0.02"),
    "text-embedding-ada-002": ("0.10", "0", "0.10"),
} | env.openai_prices

OPENAI: dict[str, Any] = {
    "api_key": env.provider_key,
    "base_url": env.openai_base_url,
    "model": env.openai_model,
    "max_tokens": env.openai_max_tokens,
    "temperature": env.openai_temperature,
    "timeout": env.openai_timeout,
    "attempts": env.openai_attempts,
    "context_tokens": env.openai_context_tokens,
    "concurrency": env.openai_concurrency,
    "prices": {name: Price(*map(Decimal, price)) for name, price in MODEL_PRICES.items()},
}

# Without a provider, or without a name, the embedded model makes the embeddings.
EMBEDDING_MODEL = env.embedding_model if env.provider_key else ""
