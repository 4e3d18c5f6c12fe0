"""Summaries by any OpenAI-compatible provider.

A text that fits the model's context goes in one request. A longer one goes in parts, in parallel,
and the notes made on the parts are summarised in turn, in several rounds if need be.

It all runs in the calling thread, in an event loop that lives as long as one `summarize`: a time
limit bounds a whole request, a part's failure ends the others at once, and no thread, loop or
connection outlives the call or gets carried over a fork. Where costs are recorded, the requests
themselves are made by a courier, which reads what is not waited for any more.
"""

import asyncio
import math
from collections.abc import Mapping
from decimal import Decimal
from functools import partial

from common.ai.prompts import (
    cleaned,
    final_messages,
    is_list,
    part_messages,
    shaped,
)
from common.ai.provider.responses import Reply
from common.ai.provider.retries import Asker, Settings, TooLongError
from common.ai.provider.sync_bridge import Desk, drive
from common.ai.provider.transport import Endpoint, lines
from common.ai.text.chunking import estimate_tokens, find_sentence_end, split_chunks
from common.ai.types import (
    NO_RECORDER,
    Price,
    Progress,
    Recorder,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    no_progress,
)

OPENAI_URL = "https://api.openai.com/v1"
SMALLEST_PART = 400  # tokens; with less room for a part, notes on it would not be much shorter
SMALLEST_NOTE = 64  # tokens that the notes on a part may have, however short it is
PROMPT = 600  # tokens; what Bureau's own instructions need at most
NOTE_WORDS = 300  # the longest notes on one part


class OpenAISummarizer:
    """Makes summaries with `model` at `base_url`; safe to share between threads and to fork.

    `max_tokens` bounds an answer, and one that does not fit there is asked for with four times as
    many. `temperature` None leaves it to the provider. `timeout` is in seconds for each
    request, `attempts` the requests for one answer. `context_tokens` is what the model takes,
    prompt and answer together. `concurrency` bounds the requests that one summary has open at a
    time. The waits between attempts are in seconds: `wait_initial`, doubled up to `wait_max`, plus
    up to `wait_jitter`. Raises ValueError when `max_tokens` leaves too little
    of `context_tokens` for a text.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = OPENAI_URL,
        model: str,
        max_tokens: int = 500,
        temperature: float | None = None,
        timeout: float = 30.0,
        attempts: int = 3,
        context_tokens: int = 16_000,
        prices: Mapping[str, Price] | None = None,
        concurrency: int = 4,
        wait_initial: float = 1.0,
        wait_max: float = 10.0,
        wait_jitter: float = 0.5,
    ) -> None:
        self.model, self.concurrency = model, concurrency
        self._endpoint = Endpoint(api_key, base_url or OPENAI_URL, timeout)
        self._settings = Settings(
            model=model,
            max_tokens=max_tokens,
            context_tokens=context_tokens,
            temperature=temperature,
            attempts=attempts,
            prices=prices or {},
            wait_initial=wait_initial,
            wait_max=wait_max,
            wait_jitter=wait_jitter,
        )
        if context_tokens - self._settings.more_tokens < PROMPT + SMALLEST_PART:
            raise ValueError("context_tokens must be larger, or max_tokens smaller")

    def summarize(
        self,
        request: SummaryRequest,
        *,
        recorder: Recorder = NO_RECORDER,
        progress: Progress = no_progress,
    ) -> SummaryResult:
        """See `Summarizer.summarize`. Not for a thread in which an event loop is running."""
        text = cleaned(request.text).strip()
        if not text:
            raise SummaryRefused("there is no text to summarise")
        return drive(partial(self._summary, request, text, recorder, progress))

    async def _summary(
        self,
        request: SummaryRequest,
        text: str,
        recorder: Recorder,
        progress: Progress,
        desk: Desk,
    ) -> SummaryResult:
        async with lines(self._endpoint, recorder.late_costs) as opened:
            asker = Asker(self._settings, opened, desk, recorder)
            job = _Job(request, asker, desk, progress, self.concurrency)
            return await job.run(text)


class _Job:
    """One summary in the making: how far it is, and what it left out."""

    def __init__(
        self,
        request: SummaryRequest,
        asker: Asker,
        desk: Desk,
        progress: Progress,
        concurrency: int,
    ) -> None:
        self.request, self.asker, self.desk = request, asker, desk
        self.progress, self.concurrency = progress, concurrency
        self.done = self.total = 0
        self.noted = self.clipped = 0  # parts of which there are notes, and incomplete ones

    async def run(self, text: str) -> SummaryResult:
        """Tries shorter parts when the provider says that its context is smaller than we think."""
        room = self._room()
        while room >= SMALLEST_PART:
            try:
                return self._result(await self._whole(text, room))
            except TooLongError:
                room = min(room, estimate_tokens(text)) // 2
        raise SummaryRefused("the model's context has too little room for the text")

    def _room(self) -> int:
        """How many tokens of text go in one request, beside the prompt and the answer."""
        longest = part_messages(self.request, "", number=9999, total=9999, words=NOTE_WORDS)
        prompt = estimate_tokens("".join(message["content"] for message in longest))
        settings = self.asker.settings
        return settings.context_tokens - prompt - settings.more_tokens

    async def _whole(self, text: str, room: int) -> Reply:
        """The answer for all of `text`. Each round makes it shorter, by a third at the least."""
        self.noted = self.clipped = 0
        self.total, parts = self.done + 1, 1
        while (size := estimate_tokens(text)) > room:
            even = math.ceil(size / math.ceil(size / room)) + room // 20
            pieces = list(split_chunks(text, min(room, even)))
            parts = max(parts, len(pieces))
            self.total += len(pieces)
            text = "\n\n".join(await self._notes(pieces, room))
        messages = final_messages(self.request, text, parts=parts)
        reply = await self.asker.answer(messages, words=self.request.max_words)
        await self._advance()
        return reply

    async def _notes(self, pieces: list[str], room: int) -> list[str]:
        """Notes on each piece, in order. The first failure ends all requests and is raised."""
        gate = asyncio.Semaphore(self.concurrency)
        words = max(30, min(NOTE_WORDS, room // 8, self.asker.settings.max_tokens // 3))

        async def note(number: int, piece: str) -> str:
            messages = part_messages(
                self.request, piece, number=number, total=len(pieces), words=words
            )
            async with gate:
                reply = await self.asker.kept_answer(messages, words=words)
            await self._advance()
            return self._short(reply, max(SMALLEST_NOTE, estimate_tokens(piece) // 3))

        failures: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                notes = [group.create_task(note(*item)) for item in enumerate(pieces, start=1)]
        except ExceptionGroup as group_failure:
            failures.extend(group_failure.exceptions)
        for failure in failures:
            raise failure
        return [task.result() for task in notes]

    def _short(self, reply: Reply, tokens: int) -> str:
        """The notes in `reply`, at most `tokens` long, so that rounds come to an end."""
        note = next(split_chunks(reply.text, tokens))
        self.noted += 1
        self.clipped += reply.cut or len(note) < len(reply.text)
        return note

    async def _advance(self) -> None:
        self.done += 1
        await self.desk.ask(partial(self.progress, self.done, self.total))

    def _result(self, reply: Reply) -> SummaryResult:
        answer, omitted = reply.text, []
        if self.clipped:
            omitted.append(f"the end of the notes on {self.clipped} of {self.noted} parts")
        if reply.cut:
            answer = _complete(answer, in_lines=is_list(self.request))
            omitted.append("the end of the answer, which was cut off at the token limit")
        text, left_out = shaped(answer, self.request)
        calls = self.asker.calls
        return SummaryResult(
            text=text,
            model=self.asker.settings.model,
            prompt_tokens=sum(call.prompt_tokens for call in calls),
            completion_tokens=sum(call.completion_tokens for call in calls),
            cached_tokens=sum(call.cached_tokens for call in calls),
            reasoning_tokens=sum(call.reasoning_tokens for call in calls),
            cost_usd=sum((call.cost_usd for call in calls), start=Decimal(0)),
            calls=len(calls),
            omitted="; ".join([*omitted, left_out] if left_out else omitted),
        )


def _complete(answer: str, *, in_lines: bool) -> str:
    """A cut-off `answer` without its unfinished last bullet or sentence, if more than that is
    there."""
    end = answer.rfind("\n") + 1 if in_lines else find_sentence_end(answer, 0, len(answer))
    return answer[:end].rstrip() or answer
