"""The address of the provider, and the options of its requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.ai.provider.prompts import Message
from common.ai.types import CostEstimate, Price, Usage, compute_cost

EXTENDED_TOKENS_FACTOR = 4  # multiplies `max_tokens` for an answer that does not fit
TOKENS_PER_MESSAGE = 16  # for the role and the separators that a provider adds to each message


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a provider; `timeout` is in seconds for each request."""

    api_key: str = field(repr=False)
    base_url: str
    timeout: float


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """The options of requests; `OpenAISummarizer` explains them.

    `unsupported_parameters` are the names that the model has refused; all summaries of this process
    share them.
    """

    model: str
    max_tokens: int
    context_tokens: int
    temperature: float | None
    attempts: int
    prices: Mapping[str, Price]
    wait_initial: float
    wait_max: float
    wait_jitter: float
    unsupported_parameters: set[str] = field(default_factory=set)

    @property
    def extended_max_tokens(self) -> int:
        """The limit for an answer that does not fit `max_tokens`; at most half of the context."""
        extended = EXTENDED_TOKENS_FACTOR * self.max_tokens
        return min(extended, max(self.max_tokens, self.context_tokens // 2))

    def build_body(self, messages: list[Message], max_tokens: int) -> dict[str, Any]:
        """Return the body of a request, without the parameters that the model has refused."""
        is_renamed = "max_tokens" in self.unsupported_parameters  # in reasoning models
        limit = "max_completion_tokens" if is_renamed else "max_tokens"
        body = {"model": self.model, "messages": messages, limit: max_tokens}
        if self.temperature is not None and "temperature" not in self.unsupported_parameters:
            body["temperature"] = self.temperature
        return body

    def estimate_cost(self, messages: list[Message], max_tokens: int) -> CostEstimate:
        """Return an upper bound of what a request can cost.

        A token is at least one byte long, and nothing is assumed to come from the provider's cache.
        `estimate_tokens` is closer, but too low for random letters.
        """
        prompt = sum(len(m["content"].encode()) + TOKENS_PER_MESSAGE for m in messages)
        cost = compute_cost(Usage(prompt, max_tokens), self.model, self.prices)
        return CostEstimate(prompt, max_tokens, cost)
