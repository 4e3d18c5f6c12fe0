"""Getting one answer out of a provider that fails now and then, with every request recorded."""

import asyncio
import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, NoReturn

import stamina

from common.ai.metrics import record_request
from common.ai.prompts import Message
from common.ai.provider.responses import Reply
from common.ai.provider.sync_bridge import Desk
from common.ai.provider.transport import Line, Lines
from common.ai.types import Call, Price, ProviderUnavailable, Recorder, SummaryRefused, cost_of

LONGEST_WAIT = 20.0  # seconds that a worker sits out; for a longer wait its job is put back
LARGER = 4  # times max_tokens, for an answer that does not fit there
TOKENS_PER_WORD = 2

_ABANDONED = Reply("error", "refuse", error="was not waited for: the summary was given up")
_TIMES = {1: "", 2: " twice", 3: " three times"}


class TooLongError(Exception):
    """The provider says that a text does not fit: our idea of its context is wrong."""


class _AgainError(Exception):
    """A failure that another attempt may heal."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"the provider {reply.error}")
        self.retry_after = reply.retry_after


@dataclass(frozen=True, slots=True)
class Settings:
    """How to ask; `OpenAISummarizer` says what each means. `refused` collects the parameters that
    the model turned out not to take, and is shared by all that ask it."""

    model: str
    max_tokens: int
    context_tokens: int
    temperature: float | None
    attempts: int
    prices: Mapping[str, Price]
    wait_initial: float
    wait_max: float
    wait_jitter: float
    refused: set[str] = field(default_factory=set)

    @property
    def more_tokens(self) -> int:
        """For an answer that `max_tokens` is too few for; at most half of the context."""
        return min(LARGER * self.max_tokens, max(self.max_tokens, self.context_tokens // 2))

    def params(self, messages: list[Message], max_tokens: int) -> dict[str, Any]:
        """The body of a request, in the dialect that the model is known to speak."""
        newer = "max_tokens" in self.refused  # reasoning models have their own name for it
        limit = "max_completion_tokens" if newer else "max_tokens"
        params = {"model": self.model, "messages": messages, limit: max_tokens}
        if self.temperature is not None and "temperature" not in self.refused:
            params["temperature"] = self.temperature
        return params


class Asker:
    """Asks for the answers that one summary needs. `calls` are all requests made so far."""

    def __init__(self, settings: Settings, lines: Lines, desk: Desk, recorder: Recorder) -> None:
        self.settings, self.lines, self.desk, self.recorder = settings, lines, desk, recorder
        self.calls: list[Call] = []
        self._hold = 0.0  # the loop's time until which the provider wants no request at all

    async def answer(self, messages: list[Message], *, words: int) -> Reply:
        """The provider's answer, which should have at most `words` words.

        One that is cut off at `max_tokens` is asked for once more with `more_tokens`, and a long
        one is asked for so at once; `cut` says that the answer was cut off even then. Raises
        `SummaryRefused`, `ProviderUnavailable`, `TooLongError`.
        """
        few, more = self.settings.max_tokens, self.settings.more_tokens
        tokens = few if words * TOKENS_PER_WORD <= few else more
        reply = await self._persist(messages, tokens)
        if reply.cut and tokens < more:
            reply = await self._persist(messages, more)
        if not reply.text:
            raise SummaryRefused("the model used up its tokens before it began to answer")
        return reply

    async def kept_answer(self, messages: list[Message], *, words: int) -> Reply:
        """As `answer`; where an earlier try of the same summary has it, it is not asked for."""
        asked = json.dumps([self.settings.model, messages]).encode()
        key = hashlib.sha256(asked).hexdigest()
        known = await self.desk.ask(partial(self.recorder.recall, key))
        if known is not None:
            return Reply("ok", "take", text=known)
        reply = await self.answer(messages, words=words)
        if not reply.cut:
            await self.desk.ask(partial(self.recorder.keep, key, reply.text), always=True)
        return reply

    async def _persist(self, messages: list[Message], max_tokens: int) -> Reply:
        settings, reasons, number = self.settings, Counter[str](), count(1)
        retries = stamina.retry_context(
            on=self._wait,
            attempts=settings.attempts,
            timeout=None,
            wait_initial=settings.wait_initial,
            wait_max=settings.wait_max,
            wait_jitter=settings.wait_jitter,
        )
        try:
            async for attempt in retries:
                with attempt:
                    reply = await self._adapted(messages, max_tokens, number)
                    if reply.next == "again":
                        reasons[reply.error] += 1
                        raise _AgainError(reply)
        except _AgainError:
            _give_up(reply, reasons)
        return _taken(reply)

    def _wait(self, error: Exception) -> bool | float:
        """stamina's question: whether to try again, or after how many seconds."""
        if not isinstance(error, _AgainError):
            return False
        if error.retry_after is None:
            return True
        if error.retry_after > LONGEST_WAIT:
            return False
        return error.retry_after + random.uniform(0, self.settings.wait_jitter)

    async def _adapted(
        self, messages: list[Message], max_tokens: int, number: "count[int]"
    ) -> Reply:
        """One request, and another for each optional parameter that the model does not take."""
        while True:
            params = self.settings.params(messages, max_tokens)
            reply = await self._recorded(params, next(number))
            if not reply.unsupported:
                return reply
            self.settings.refused.add(reply.unsupported)

    async def _recorded(self, params: dict[str, Any], attempt: int) -> Reply:
        await self._held()
        async with self.lines() as line:
            reply = await self._recorded_by(line, params, attempt)
        self._hold_all(reply)
        return reply

    async def _recorded_by(self, line: Line, params: dict[str, Any], attempt: int) -> Reply:
        handles: list[object] = []  # a cancellation can come between `begin` and our next step
        reply, started = _ABANDONED, time.monotonic()
        try:
            await self.desk.ask(partial(self._begin, handles, attempt))
            started = time.monotonic()
            request_id = "".join(str(handle) for handle in handles if handle is not None)
            reply = await line.ask(params, request_id=request_id)
        finally:
            call = self._call(reply, attempt, time.monotonic() - started)
            for handle in handles:
                self.calls.append(call)
                record_request(call)
                await self.desk.ask(partial(self.recorder.end, handle, call), always=True)
                line.recorded()
        return reply

    def _begin(self, handles: list[object], attempt: int) -> None:
        handles.append(self.recorder.begin(model=self.settings.model, attempt=attempt))

    async def _held(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._hold - loop.time()) > 0:
            await asyncio.sleep(wait)

    def _hold_all(self, reply: Reply) -> None:
        """A limit met by one part of a text holds for the others too."""
        if reply.outcome == "rate_limited" and (reply.retry_after or 0) <= LONGEST_WAIT:
            until = asyncio.get_running_loop().time() + (reply.retry_after or 0)
            self._hold = max(self._hold, until)

    def _call(self, reply: Reply, attempt: int, seconds: float) -> Call:
        usage, settings = reply.usage, self.settings
        return Call(
            model=settings.model,
            outcome=reply.outcome,
            status=reply.status,
            attempt=attempt,
            prompt_tokens=usage.prompt,
            completion_tokens=usage.completion,
            cached_tokens=usage.cached,
            reasoning_tokens=usage.reasoning,
            cost_usd=cost_of(usage, settings.model, settings.prices),
            duration_ms=round(seconds * 1000),
            error=reply.error and f"the provider {reply.error}",
        )


def _give_up(reply: Reply, reasons: Counter[str]) -> NoReturn:
    told = " and ".join(
        reason + _TIMES.get(times, f" {times} times") for reason, times in reasons.items()
    )
    wait = reply.retry_after
    if wait is not None and wait > LONGEST_WAIT:
        told += f", and asks for a pause of {wait:.0f} seconds"
    raise ProviderUnavailable(f"the provider {told}", retry_after=wait)


def _taken(reply: Reply) -> Reply:
    match reply.next:
        case "refuse":
            raise SummaryRefused(f"the provider {reply.error}")
        case "later":
            raise ProviderUnavailable(f"the provider {reply.error}", retry_after=reply.retry_after)
        case "shrink":
            raise TooLongError
    return reply
