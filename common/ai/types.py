"""The words in which Bureau and whatever makes its summaries speak to each other.

A summariser takes a `SummaryRequest` and gives a `SummaryResult`, or raises one of two errors:
`SummaryRefused` is final, `ProviderUnavailable` is worth a later try. Their messages are meant for
a client's eyes: they never hold a key, an address or any of the text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

Outcome = Literal["ok", "rate_limited", "error", "timeout", "invalid"]
Progress = Callable[[int, int], None]

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """What to summarise and how.

    `instructions` is what a template asks for (`prompts.TEMPLATES`, or a company's own words);
    `language` names the summary's language, "" is the language of the text; `max_words` is kept,
    in the words of `sentences.count_words`.
    """

    text: str
    instructions: str = ""
    language: str = ""
    max_words: int = 80


@dataclass(frozen=True, slots=True)
class SummaryResult:
    """A summary, who made it, and what all `calls` behind it used together.

    `omitted` says in words what was left out, "" when nothing was.
    """

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    calls: int = 0
    omitted: str = ""


class SummaryRefused(Exception):
    """Final: asking again with the same text and settings would fail the same way."""


class ProviderUnavailable(Exception):
    """Worth a later try; `retry_after` is the wait in seconds that the provider asked for."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `cached` is the part of `prompt` that the provider had already read,
    `reasoning` the part of `completion` that was not shown."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the provider, as the cost ledger keeps it.

    `status` is the HTTP status, None if none came; `attempt` counts from 1 within one answer that
    was wanted. A call that brought no answer counts no tokens; what a provider bills for one that
    comes too late, `Recorder.late_costs` is told.
    """

    model: str
    outcome: Outcome
    status: int | None
    attempt: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    duration_ms: int = 0
    error: str = ""


class Recorder(Protocol):
    """The cost ledger. All are called in the thread that called `summarize`, never in parallel,
    and what they raise ends the summary.

    `begin` comes before the request leaves, so that a killed worker leaves a trace, and `end` once
    for each `begin`, unless the process dies. The handle that `begin` gives goes with the request
    as its `X-Client-Request-Id`, so that the provider's books and these can be held side by side;
    None for no id.

    `keep` is given the answer for each part of a long text, so that a later try of the same summary
    need not pay for it again: `recall` gives it then, None where there is none.

    `late_costs` is the management command that puts down what answers cost which were not waited
    for, or whose asker died; "" where nobody cares. It is called with "-", and reads CSV with the
    columns id, prompt_tokens, completion_tokens, cached_tokens and reasoning_tokens.
    """

    late_costs: str

    def begin(self, *, model: str, attempt: int) -> object: ...

    def end(self, handle: object, call: Call) -> None: ...

    def recall(self, key: str) -> str | None: ...

    def keep(self, key: str, answer: str) -> None: ...


class _NoRecorder:
    late_costs = ""

    def begin(self, *, model: str, attempt: int) -> object:
        return None

    def end(self, handle: object, call: Call) -> None:
        return None

    def recall(self, key: str) -> str | None:
        return None

    def keep(self, key: str, answer: str) -> None:
        return None


NO_RECORDER: Recorder = _NoRecorder()


def no_progress(done: int, total: int) -> None:
    """Where progress goes when nobody asks for it."""


class Summarizer(Protocol):
    """Anything that makes summaries; `model` names it in each answer."""

    model: str

    def summarize(
        self,
        request: SummaryRequest,
        *,
        recorder: Recorder = NO_RECORDER,
        progress: Progress = no_progress,
    ) -> SummaryResult:
        """The summary of `request.text`.

        `progress(done, total)` is called after each step, in the calling thread; `total` can grow
        when the parts of a long text need another round. Raises `SummaryRefused` and
        `ProviderUnavailable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens; `cached` is the price of prompt tokens read from a cache."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """The price of the longest key of `prices` that `model` begins with."""
    name = max((key for key in prices if model.startswith(key)), key=len, default=None)
    return None if name is None else prices[name]


def cost_of(usage: Usage, model: str, prices: Mapping[str, Price]) -> Decimal:
    """What `usage` cost in USD.

    A model without a price costs 0. Reasoning tokens are part of the completion already.
    """
    price = price_of(model, prices)
    if price is None:
        return Decimal(0)
    fresh = usage.prompt - usage.cached
    total = fresh * price.prompt + usage.cached * price.cached + usage.completion * price.completion
    return total / MILLION
