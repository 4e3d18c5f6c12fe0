"""The interface between Bureau and its summarisers.

A summariser takes a `SummaryRequest` and returns a `SummaryResult` or raises one of two errors:
`SummaryRefused` is final, `ProviderUnavailable` can be tried again later. Their messages are shown
to clients: they never contain a key, an address or any of the text.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

CallOutcome = Literal["ok", "rate_limited", "error", "timeout", "invalid", "lost"]
Progress = Callable[[int, int], None]

TOKENS_PER_PRICE = 1_000_000
_snapshot_date = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """What to summarise and how.

    `instructions` are those of a template (`templates.TEMPLATES` or a company's own). `language`
    names the summary's language; "" means the language of the text. A summary never has more than
    `max_words` words, as `sentences.count_words` counts them.
    """

    text: str
    instructions: str = ""
    language: str = ""
    max_words: int = 80


@dataclass(frozen=True, slots=True)
class SummaryResult:
    """A summary, the model's name, and what all `calls` for it used together.

    Calls whose usage is unknown (`CallRecord.is_estimate`) add nothing to tokens and cost. The
    cost is `None` for a model without a price.
    `omitted` describes what was left out; it is "" if nothing was.
    """

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)
    calls: int = 0
    omitted: str = ""


class SummaryRefused(Exception):
    """A final failure: the same text and settings would fail again."""


class ProviderUnavailable(Exception):
    """A temporary failure; `retry_after` is the provider's `Retry-After` in seconds, if any."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one call.

    `cached` is the part of `prompt` that the provider read from its cache, `reasoning` the part of
    `completion` that is not in the answer.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """An upper bound of the tokens and the cost of a request, known before it is sent.

    The cost is `None` for a model without a price.
    """

    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """How one request to the provider ended, for the ledger.

    `status` is the HTTP status, or `None` without a response. `attempt` numbers the requests for
    one answer, from 1. If the provider may bill a request whose usage is unknown, tokens and cost
    are 0 and `is_estimate` is true: then the `CostEstimate` given to `Recorder.begin` applies.
    """

    model: str
    outcome: CallOutcome
    status: int | None
    attempt: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)
    is_estimate: bool = False
    duration_ms: int = 0
    error: str = ""


class Recorder(Protocol):
    """Records calls.

    Its methods are called in the thread that makes the calls, never in parallel. If one raises an
    exception, the work ends with it.
    """

    def begin(self, *, model: str, attempt: int, estimate: CostEstimate) -> object:
        """Record a request before it is sent, so that it is known even if the worker is killed.

        The returned handle is sent as `X-Client-Request-Id` and identifies the request in the
        provider's export. With `None` no header is sent.
        """
        ...

    def end(self, handle: object, call: CallRecord) -> None:
        """Record the end of a request: once for each `begin`, unless the process dies."""
        ...


class SummaryRecorder(Recorder, Protocol):
    """A `Recorder` that also keeps the notes on the parts of a long text."""

    def find_notes(self, key: str) -> str | None:
        """Return the notes that were saved under `key`, if any."""
        ...

    def save_notes(self, key: str, notes: str) -> None:
        """Save the notes on a part, so that a later run does not pay for them again."""
        ...


class _NoRecorder:
    def begin(self, *, model: str, attempt: int, estimate: CostEstimate) -> object:
        return None

    def end(self, handle: object, call: CallRecord) -> None:
        return None

    def find_notes(self, key: str) -> str | None:
        return None

    def save_notes(self, key: str, notes: str) -> None:
        return None


NO_RECORDER: SummaryRecorder = _NoRecorder()


def ignore_progress(done: int, total: int) -> None:
    """Do nothing: the default for `progress`."""


class Summarizer(Protocol):
    """The interface of a summariser; `model` is its name in each result."""

    model: str

    def summarize(
        self,
        request: SummaryRequest,
        *,
        recorder: SummaryRecorder = NO_RECORDER,
        progress: Progress = ignore_progress,
    ) -> SummaryResult:
        """Return the summary of `request.text`.

        `progress(done, total)` is called after each step, in the calling thread. `total` can grow
        if the notes on a long text need another round. Raises `SummaryRefused` and
        `ProviderUnavailable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens; `cached` is the price of prompt tokens read from a cache."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal


def find_price(model: str, prices: Mapping[str, Price]) -> Price | None:
    """Return the price of exactly this model, or of the model that it is a dated snapshot of."""
    return prices.get(model) or prices.get(_snapshot_date.sub("", model))


def compute_cost(usage: Usage, model: str, prices: Mapping[str, Price]) -> Decimal | None:
    """Return the cost of `usage` in USD, `None` for a model without a price.

    Reasoning tokens are part of the completion already.
    """
    price = find_price(model, prices)
    if price is None:
        return None
    uncached = usage.prompt - usage.cached
    total = (
        uncached * price.prompt + usage.cached * price.cached + usage.completion * price.completion
    )
    return total / TOKENS_PER_PRICE


def add_costs(costs: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum, `None` if a cost is unknown."""
    known = list(costs)
    return None if None in known else sum(filter(None, known), start=Decimal(0))
