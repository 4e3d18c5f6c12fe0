"""The AI provider, and the prices of its models."""

from decimal import Decimal
from typing import Any

from common.ai.types import Price
from config.settings.runtime import env

# USD per million tokens: prompt, completion, cached prompt. A model is priced by the longest name
# that its own name starts with. `OPENAI_PRICES` adds and replaces entries.
MODEL_PRICES = {
    "gpt-3.5-turbo": ("0.50", "1.50", "0.50"),
    "gpt-4o": ("2.50", "10.00", "1.25"),
    "gpt-4o-mini": ("0.15", "0.60", "0.075"),
    "gpt-4.1": ("2.00", "8.00", "0.50"),
    "gpt-4.1-mini": ("0.40", "1.60", "0.10"),
    "gpt-4.1-nano": ("0.10", "0.40", "0.025"),
    "gpt-5": ("1.25", "10.00", "0.125"),
    "gpt-5-mini": ("0.25", "2.00", "0.025"),
    "gpt-5-nano": ("0.05", "0.40", "0.005"),
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
