"""Get answers from a provider: retry temporary failures, and record every request."""

import asyncio
import random
import time
from collections import Counter
from itertools import count
from typing import NoReturn

import stamina
import structlog

from common.ai.metrics import record_request
from common.ai.provider.client import ProviderClient
from common.ai.provider.options import ProviderOptions
from common.ai.provider.prompts import Message
from common.ai.provider.responses import NO_USAGE, NextStep, ProviderResponse
from common.ai.types import (
    CallRecord,
    ProviderUnavailable,
    Recorder,
    SummaryRefused,
    compute_cost,
)
from common.event_loop import outside_event_loop

log = structlog.get_logger(__name__)

MAX_WAIT_S = 20.0  # in a worker; for a longer wait its job is queued again
TOKENS_PER_WORD = 2

_ABANDONED = ProviderResponse(
    "lost", "refuse", usage=None, error="did not answer before the summary was given up"
)
_TIMES = {1: "", 2: " twice", 3: " three times"}


class TextTooLongError(Exception):
    """The provider says that a text does not fit: its context is smaller than configured."""


class AnswerLimitError(SummaryRefused):
    """The provider accepts only a lower limit for the tokens of an answer."""


class _RetryableError(Exception):
    """A failure after which another attempt may succeed."""

    def __init__(self, response: ProviderResponse) -> None:
        super().__init__(f"the provider {response.error}")
        self.retry_after = response.retry_after


class ProviderSession:
    """Requests the answers for one text; `calls` are the requests that have ended."""

    def __init__(
        self, options: ProviderOptions, client: ProviderClient, recorder: Recorder
    ) -> None:
        self.options, self._client, self._recorder = options, client, recorder
        self.calls: list[CallRecord] = []
        self._paused_until = 0.0  # in the loop's time; a rate limit of one request pauses all

    async def request_answer(self, messages: list[Message], *, max_words: int) -> ProviderResponse:
        """Return the provider's answer, which should have at most `max_words` words.

        An answer that is cut off at `max_tokens` is requested once more with
        `extended_max_tokens`; a long one uses that limit at once. Raises `SummaryRefused`,
        `ProviderUnavailable`, `TextTooLongError`.
        """
        standard, extended = self.options.max_tokens, self.options.extended_max_tokens
        max_tokens = standard if max_words * TOKENS_PER_WORD <= standard else extended
        try:
            response = await self._request_with_retries(messages, max_tokens)
        except AnswerLimitError:  # The lower limit is known now.
            response = await self._request_with_retries(messages, max_tokens)
        if response.is_truncated and max_tokens < self.options.extended_max_tokens:
            response = await self._request_longer_answer(messages, response)
        if not response.text:
            raise SummaryRefused("the model used up its tokens before it began to answer")
        return response

    async def _request_longer_answer(
        self, messages: list[Message], truncated: ProviderResponse
    ) -> ProviderResponse:
        """Return the answer with the higher limit, or the paid `truncated` one if that fails."""
        try:
            return await self._request_with_retries(messages, self.options.extended_max_tokens)
        except (SummaryRefused, ProviderUnavailable, TextTooLongError):
            if truncated.text:
                return truncated
            raise

    async def _request_with_retries(
        self, messages: list[Message], max_tokens: int
    ) -> ProviderResponse:
        reasons, steps, attempts = Counter[str](), set[NextStep](), count(1)
        retries = stamina.retry_context(
            on=self._choose_wait,
            attempts=self.options.attempts,
            timeout=None,
            wait_initial=self.options.wait_initial,
            wait_max=self.options.wait_max,
            wait_jitter=self.options.wait_jitter,
        )
        try:
            async for attempt in retries:
                with attempt:
                    response = await self._request_supported(messages, max_tokens, attempts)
                    if response.next in ("retry", "repeat"):
                        reasons[response.error] += 1
                        steps.add(response.next)
                        raise _RetryableError(response)
        except _RetryableError:
            if steps == {"repeat"}:  # Another run would pay for the same.
                raise SummaryRefused(f"the provider {_join_reasons(reasons)}") from None
            _raise_unavailable(response, reasons)
        return _check_accepted(response)

    def _choose_wait(self, error: Exception) -> bool | float:
        """Return whether stamina retries, or the seconds until it does."""
        if not isinstance(error, _RetryableError):
            return False
        if error.retry_after is None:
            return True
        if error.retry_after > MAX_WAIT_S:
            return False
        return error.retry_after + random.uniform(0, self.options.wait_jitter)

    async def _request_supported(
        self, messages: list[Message], max_tokens: int, attempts: "count[int]"
    ) -> ProviderResponse:
        """Send a request, and again without each part that the model refuses.

        This ends, because an error can only name a part that was sent.
        """
        while True:
            response = await self._send_recorded(messages, max_tokens, next(attempts))
            self.options.limits.learn(response)
            if response.next != "adapt":
                return response

    async def _send_recorded(
        self, messages: list[Message], max_tokens: int, attempt: int
    ) -> ProviderResponse:
        await self._wait_for_rate_limit()
        body = self.options.build_body(messages, max_tokens)
        handle = self._begin_call(messages, max_tokens, attempt)
        response, started = _ABANDONED, time.monotonic()
        try:
            request_id = "" if handle is None else str(handle)
            response = await self._client.send(body, request_id=request_id)
        finally:
            self._end_call(handle, response, attempt, time.monotonic() - started)
        self._pause_all_requests(response)
        return response

    def _begin_call(self, messages: list[Message], max_tokens: int, attempt: int) -> object:
        estimate = self.options.estimate_cost(messages, max_tokens)
        with outside_event_loop():
            return self._recorder.begin(
                model=self.options.model, attempt=attempt, estimate=estimate
            )

    def _end_call(
        self, handle: object, response: ProviderResponse, attempt: int, seconds: float
    ) -> None:
        call = self._build_record(response, attempt, seconds)
        self.calls.append(call)
        record_request(call)
        _log_failure(call, response)
        with outside_event_loop():
            self._recorder.end(handle, call)

    def _build_record(self, response: ProviderResponse, attempt: int, seconds: float) -> CallRecord:
        usage, model = response.usage or NO_USAGE, self.options.model
        return CallRecord(
            model=model,
            outcome=response.outcome,
            status=response.status,
            attempt=attempt,
            prompt_tokens=usage.prompt,
            completion_tokens=usage.completion,
            cached_tokens=usage.cached,
            reasoning_tokens=usage.reasoning,
            cost_usd=compute_cost(usage, model, self.options.prices),
            is_estimate=response.usage is None,
            duration_ms=round(seconds * 1000),
            error=response.error and f"the provider {response.error}",
        )

    async def _wait_for_rate_limit(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._paused_until - loop.time()) > 0:
            await asyncio.sleep(wait)

    def _pause_all_requests(self, response: ProviderResponse) -> None:
        """Apply the rate limit of one request to the requests for all other parts."""
        pause = response.retry_after or 0
        if response.outcome == "rate_limited" and pause <= MAX_WAIT_S:
            until = asyncio.get_running_loop().time() + pause
            self._paused_until = max(self._paused_until, until)


def _log_failure(call: CallRecord, response: ProviderResponse) -> None:
    """Log why a request failed, without the provider's words, which may quote the text."""
    if response.is_prompt_cut:
        log.warning(
            "ai_prompt_cut",
            model=call.model,
            prompt_tokens=call.prompt_tokens,
            hint="Set OPENAI_CONTEXT_TOKENS to the model's context.",
        )
    if response.outcome not in ("ok", "lost"):
        log.warning(
            "ai_request_failed",
            model=call.model,
            outcome=call.outcome,
            status=call.status,
            attempt=call.attempt,
            error_code=response.code,
            error_param=response.param,
            reason=call.error,
        )


def _join_reasons(reasons: Counter[str]) -> str:
    return " and ".join(
        reason + _TIMES.get(times, f" {times} times") for reason, times in reasons.items()
    )


def _raise_unavailable(response: ProviderResponse, reasons: Counter[str]) -> NoReturn:
    message = _join_reasons(reasons)
    wait = response.retry_after
    if wait is not None and wait > MAX_WAIT_S:
        message += f", and asks for a pause of {wait:.0f} seconds"
    raise ProviderUnavailable(f"the provider {message}", retry_after=wait)


def _check_accepted(response: ProviderResponse) -> ProviderResponse:
    message = f"the provider {response.error}"
    match response.next:
        case "refuse":
            raise SummaryRefused(message)
        case "postpone":
            raise ProviderUnavailable(message, retry_after=response.retry_after)
        case "shorten":
            raise TextTooLongError
        case "lower_limit":
            raise AnswerLimitError(message)
    return response
