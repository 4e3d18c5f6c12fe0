"""The address of the provider, and the options of its requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.ai.provider.error_kinds import SYSTEM_ROLE
from common.ai.provider.prompts import Message, merge_messages
from common.ai.provider.responses import ProviderResponse
from common.ai.types import CostEstimate, Price, Usage, compute_cost

EXTENDED_TOKENS_FACTOR = 4  # multiplies `max_tokens` for an answer that does not fit
# Reasoning models know only the second name. Without either, the provider limits the answer.
LIMIT_PARAMETERS = ("max_tokens", "max_completion_tokens")
TOKENS_PER_MESSAGE = 16  # for the role and the separators that a provider adds to each message


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a provider; `timeout` is in seconds for each request."""

    api_key: str = field(repr=False)
    base_url: str
    timeout: float


@dataclass(slots=True)
class ModelLimits:
    """What the model has refused; all summaries of this process share it.

    `unsupported` has names of parameters and `SYSTEM_ROLE`; `max_tokens` is the highest limit for
    an answer, if a higher one was refused.
    """

    unsupported: set[str] = field(default_factory=set)
    max_tokens: int | None = None

    def learn(self, response: ProviderResponse) -> None:
        """Remember what a response says that the model does not accept."""
        if response.unsupported:
            self.unsupported.add(response.unsupported)
        if response.maximum:
            self.max_tokens = min(response.maximum, self.max_tokens or response.maximum)


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """The options of requests; `OpenAISummarizer` explains them."""

    model: str
    max_tokens: int
    context_tokens: int
    temperature: float | None
    attempts: int
    prices: Mapping[str, Price]
    wait_initial: float
    wait_max: float
    wait_jitter: float
    limits: ModelLimits = field(default_factory=ModelLimits)

    @property
    def extended_max_tokens(self) -> int:
        """The limit for an answer that does not fit `max_tokens`; at most half of the context."""
        extended = EXTENDED_TOKENS_FACTOR * self.max_tokens
        extended = min(extended, max(self.max_tokens, self.context_tokens // 2))
        return min(extended, self.limits.max_tokens or extended)

    def build_body(self, messages: list[Message], max_tokens: int) -> dict[str, Any]:
        """Return the body of a request, without what the model has refused."""
        refused = self.limits.unsupported
        sent = merge_messages(messages) if SYSTEM_ROLE in refused else messages
        body: dict[str, Any] = {"model": self.model, "messages": sent}
        if limit := next((name for name in LIMIT_PARAMETERS if name not in refused), ""):
            body[limit] = min(max_tokens, self.limits.max_tokens or max_tokens)
        if self.temperature is not None and "temperature" not in refused:
            body["temperature"] = self.temperature
        return body

    def estimate_cost(self, messages: list[Message], max_tokens: int) -> CostEstimate:
        """Return an upper bound of what a request can cost.

        A token is at least one byte long, and nothing is assumed to come from the provider's cache.
        `estimate_tokens` is closer, but too low for random letters.
        """
        prompt = sum(len(m["content"].encode()) + TOKENS_PER_MESSAGE for m in messages)
        if self.limits.unsupported.issuperset(LIMIT_PARAMETERS):
            max_tokens = self.context_tokens
        cost = compute_cost(Usage(prompt, max_tokens), self.model, self.prices)
        return CostEstimate(prompt, max_tokens, cost)
