from decimal import Decimal

from common.ai.types import CallRecord
from common.metrics.registry import counter, histogram

# Upper limits of histogram buckets.
BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)

REQUESTS = counter(
    "ai_requests_total",
    "Requests to the AI provider: ok, rate_limited, error, timeout, invalid.",
    "model",
    "outcome",
)
DURATION = histogram(
    "ai_request_duration_seconds", "Duration of requests to the AI provider.", BUCKETS_S, "model"
)
TOKENS = counter(
    "ai_tokens_total",
    "Tokens used: prompt, completion, and of these cached and reasoning.",
    "model",
    "type",
)
COST = counter("ai_cost_usd_total", "Cost of the tokens in USD, of models with a price.", "model")


def record_request(call: CallRecord) -> None:
    """Count a finished request with its tokens and cost."""
    REQUESTS.labels(call.model, call.outcome).inc()
    DURATION.labels(call.model).observe(call.duration_ms / 1000)
    record_usage(
        call.model,
        call.cost_usd,
        prompt=call.prompt_tokens,
        completion=call.completion_tokens,
        cached=call.cached_tokens,
        reasoning=call.reasoning_tokens,
    )


def record_usage(model: str, cost_usd: Decimal | None, **tokens: int) -> None:
    """Count tokens and cost that become known after the request has ended."""
    for kind, count in tokens.items():
        TOKENS.labels(model, kind).inc(count)
    COST.labels(model).inc(float(cost_usd or 0))
