"""Summaries by any OpenAI-compatible provider.

A text that fits the model's context takes one request. A longer one is sent in parts, in parallel,
and the notes on the parts are then summarised, in several rounds if necessary.

Everything runs in the calling thread, in an event loop for one call of `summarize`. So a timeout
bounds a whole request, the first part that fails ends all other requests, and no loop or connection
outlives the call or reaches a forked process.
"""

import asyncio
import hashlib
import json
import math
from collections.abc import Mapping

from common.ai.provider.answer_format import clean_text, fit_answer, remove_unfinished_end
from common.ai.provider.client import ProviderClient
from common.ai.provider.options import Endpoint, ProviderOptions
from common.ai.provider.prompts import Message, build_notes_messages, build_summary_messages
from common.ai.provider.responses import ProviderResponse
from common.ai.provider.retries import ProviderSession, TextTooLongError
from common.ai.templates import is_list_wanted
from common.ai.text.chunking import estimate_tokens, split_chunks
from common.ai.types import (
    NO_RECORDER,
    Price,
    Progress,
    SummaryRecorder,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    add_costs,
    ignore_progress,
)
from common.event_loop import outside_event_loop, run_in_calling_thread

OPENAI_URL = "https://api.openai.com/v1"
MIN_PART_TOKENS = 400  # with less room for a part, the notes on it would not be much shorter
MIN_NOTES_TOKENS = 64  # the notes on a part may always have this many
MAX_PROMPT_TOKENS = 600  # of Bureau's own instructions
MAX_NOTES_WORDS = 300
MIN_NOTES_WORDS = 30


class OpenAISummarizer:
    """Makes summaries with `model` at `base_url`; threads and forks can share it.

    `max_tokens` limits an answer; one that does not fit is requested again with four times as
    many. With `temperature` None the provider chooses. `timeout` is in seconds for each request,
    `attempts` is the number of requests for one answer. `context_tokens` is the model's limit for
    prompt and answer together. `concurrency` bounds the parallel requests of one summary. The waits
    between attempts are in seconds: `wait_initial`, doubled up to `wait_max`, plus up to
    `wait_jitter`. Raises ValueError if `max_tokens` leaves too little of `context_tokens` for a
    text.
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
        self._options = ProviderOptions(
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
        room = context_tokens - self._options.extended_max_tokens
        if room < MAX_PROMPT_TOKENS + MIN_PART_TOKENS:
            raise ValueError("context_tokens must be larger, or max_tokens smaller")

    def summarize(
        self,
        request: SummaryRequest,
        *,
        recorder: SummaryRecorder = NO_RECORDER,
        progress: Progress = ignore_progress,
    ) -> SummaryResult:
        """See `Summarizer.summarize`. Don't call it in a thread with a running event loop."""
        text = clean_text(request.text).strip()
        if not text:
            raise SummaryRefused("there is no text to summarise")
        return run_in_calling_thread(self._summarize(request, text, recorder, progress))

    async def _summarize(
        self, request: SummaryRequest, text: str, recorder: SummaryRecorder, progress: Progress
    ) -> SummaryResult:
        async with ProviderClient(self._endpoint) as client:
            session = ProviderSession(self._options, client, recorder)
            builder = _SummaryBuilder(request, session, recorder, progress, self.concurrency)
            return await builder.build(text)


class _SummaryBuilder:
    """Builds one summary, counts its steps and remembers what was left out."""

    def __init__(
        self,
        request: SummaryRequest,
        session: ProviderSession,
        recorder: SummaryRecorder,
        progress: Progress,
        concurrency: int,
    ) -> None:
        self._request, self._session, self._recorder = request, session, recorder
        self._progress, self._concurrency = progress, concurrency
        self._steps_done = self._steps = 0
        self._notes = self._incomplete_notes = self._partly_read = 0

    async def build(self, text: str) -> SummaryResult:
        """Return the summary of `text`.

        Parts become shorter when the provider says that its context is smaller than configured.
        """
        max_tokens = self._compute_part_tokens()
        while max_tokens >= MIN_PART_TOKENS:
            try:
                return self._build_result(await self._summarize_text(text, max_tokens))
            except TextTooLongError:
                max_tokens = min(max_tokens, estimate_tokens(text)) // 2
        raise SummaryRefused("the model's context has too little room for the text")

    def _compute_part_tokens(self) -> int:
        """Return how many tokens of text fit in a request beside the prompt and the answer."""
        messages = build_notes_messages(
            self._request, "", number=9999, total=9999, max_words=MAX_NOTES_WORDS
        )
        prompt = estimate_tokens("".join(message["content"] for message in messages))
        options = self._session.options
        return options.context_tokens - prompt - options.extended_max_tokens

    async def _summarize_text(self, text: str, max_tokens: int) -> ProviderResponse:
        """Return the answer for all of `text`; each round of notes shortens it by a third."""
        self._notes = self._incomplete_notes = self._partly_read = 0
        self._steps, max_parts = self._steps_done + 1, 1
        while (size := estimate_tokens(text)) > max_tokens:
            even_size = math.ceil(size / math.ceil(size / max_tokens)) + max_tokens // 20
            parts = list(split_chunks(text, min(max_tokens, even_size)))
            max_parts = max(max_parts, len(parts))
            self._steps += len(parts)
            text = "\n\n".join(await self._request_notes(parts, max_tokens))
        messages = build_summary_messages(self._request, text, parts=max_parts)
        response = await self._session.request_answer(messages, max_words=self._request.max_words)
        self._partly_read += response.is_prompt_cut
        self._report_step()
        return response

    async def _request_notes(self, parts: list[str], max_tokens: int) -> list[str]:
        """Return notes on each part, in order; the first failure ends all requests."""
        slots = asyncio.Semaphore(self._concurrency)
        limit = min(MAX_NOTES_WORDS, max_tokens // 8, self._session.options.max_tokens // 3)
        max_words = max(MIN_NOTES_WORDS, limit)

        async def request_part(number: int, part: str) -> str:
            messages = build_notes_messages(
                self._request, part, number=number, total=len(parts), max_words=max_words
            )
            await slots.acquire()
            response = await self._find_or_request_notes(messages, max_words)
            slots.release()  # not after a failure, so that no other request begins
            self._report_step()
            return self._shorten_notes(response, part)

        failures: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(request_part(*item)) for item in enumerate(parts, start=1)
                ]
        except ExceptionGroup as group_failure:
            failures.extend(group_failure.exceptions)
        # Outside of `except`, where the group would become the context of the failure.
        for failure in failures:
            raise failure
        return [task.result() for task in tasks]

    async def _find_or_request_notes(
        self, messages: list[Message], max_words: int
    ) -> ProviderResponse:
        """Return the notes on a part: saved by an earlier run, or from the provider."""
        content = json.dumps([self._session.options.model, messages]).encode()
        key = hashlib.sha256(content).hexdigest()
        with outside_event_loop():
            saved = self._recorder.find_notes(key)
        if saved is not None:
            return ProviderResponse("ok", "accept", text=saved)
        response = await self._session.request_answer(messages, max_words=max_words)
        if not (response.is_truncated or response.is_prompt_cut):
            with outside_event_loop():
                self._recorder.save_notes(key, response.text)
        return response

    def _shorten_notes(self, response: ProviderResponse, part: str) -> str:
        """Return the notes, at most a third as long as the part, so that the rounds end."""
        max_tokens = max(MIN_NOTES_TOKENS, estimate_tokens(part) // 3)
        notes = next(split_chunks(response.text, max_tokens))
        self._notes += 1
        self._partly_read += response.is_prompt_cut
        self._incomplete_notes += response.is_truncated or len(notes) < len(response.text)
        return notes

    def _report_step(self) -> None:
        self._steps_done += 1
        with outside_event_loop():
            self._progress(self._steps_done, self._steps)

    def _build_result(self, response: ProviderResponse) -> SummaryResult:
        calls = self._session.calls
        text, omitted = self._format_answer(response)
        return SummaryResult(
            text=text,
            model=self._session.options.model,
            prompt_tokens=sum(call.prompt_tokens for call in calls),
            completion_tokens=sum(call.completion_tokens for call in calls),
            cached_tokens=sum(call.cached_tokens for call in calls),
            reasoning_tokens=sum(call.reasoning_tokens for call in calls),
            cost_usd=add_costs(call.cost_usd for call in calls),
            calls=len(calls),
            omitted=omitted,
        )

    def _format_answer(self, response: ProviderResponse) -> tuple[str, str]:
        """Return the text of the summary and a description of what was left out."""
        answer, omissions = response.text, []
        if self._incomplete_notes:
            omissions.append(
                f"the end of the notes on {self._incomplete_notes} of {self._notes} parts"
            )
        if self._partly_read:
            omissions.append("a part of the text that did not fit the model's context")
        if response.is_truncated:
            is_list = is_list_wanted(self._request.instructions)
            answer = remove_unfinished_end(answer, is_list=is_list)
            omissions.append("the end of the answer, which was cut off at the token limit")
        text, omission = fit_answer(answer, self._request)
        return text, "; ".join([*omissions, omission] if omission else omissions)
