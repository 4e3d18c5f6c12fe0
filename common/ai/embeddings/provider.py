"""Embeddings by any OpenAI-compatible provider."""

import time
from collections.abc import Mapping, Sequence
from itertools import count

import stamina
import structlog

from common.ai.embeddings.types import TextRefused, Vector
from common.ai.metrics import record_request
from common.ai.provider.client import ProviderClient
from common.ai.provider.options import Endpoint
from common.ai.provider.responses import NO_USAGE, ProviderResponse
from common.ai.types import (
    NO_RECORDER,
    CallRecord,
    CostEstimate,
    Price,
    ProviderUnavailable,
    Recorder,
    Usage,
    compute_cost,
)
from common.event_loop import outside_event_loop, run_in_calling_thread

log = structlog.get_logger(__name__)

# An answer with so many of the longest vectors is smaller than `client.MAX_RESPONSE_BYTES`.
MAX_TEXTS_PER_REQUEST = 32
MAX_WAIT_S = 20.0  # for a longer one the job is queued again
TOKENS_PER_TEXT = 16  # that a provider may add to each text
# Wrong settings: the operator has to act, and then the same texts will be accepted.
_SETTING_STATUSES = {401, 402, 403, 404}

_ABANDONED = ProviderResponse("lost", "refuse", usage=None, error="did not answer before the end")


class _RetryableError(Exception):
    """A failure after which another attempt may succeed."""

    def __init__(self, response: ProviderResponse) -> None:
        super().__init__(response.error)
        self.response = response


class ProviderEmbedder:
    """Makes embeddings with `model`; threads and forks can share it.

    `attempts` is the number of requests for one answer. The waits between them begin with
    `wait_initial` seconds.
    """

    def __init__(
        self,
        *,
        model: str,
        endpoint: Endpoint,
        attempts: int = 3,
        prices: Mapping[str, Price] | None = None,
        wait_initial: float = 1.0,
    ) -> None:
        self.model = model
        self._endpoint, self._attempts = endpoint, attempts
        self._prices, self._wait_initial = prices or {}, wait_initial

    def embed(self, texts: Sequence[str], *, recorder: Recorder = NO_RECORDER) -> list[Vector]:
        """See `Embedder.embed`. Don't call it in a thread with a running event loop."""
        return run_in_calling_thread(self._embed(texts, recorder))

    async def _embed(self, texts: Sequence[str], recorder: Recorder) -> list[Vector]:
        vectors: list[Vector] = []
        async with ProviderClient(self._endpoint) as client:
            for start in range(0, len(texts), MAX_TEXTS_PER_REQUEST):
                batch = texts[start : start + MAX_TEXTS_PER_REQUEST]
                vectors += await self._request_with_retries(client, batch, recorder)
        return vectors

    async def _request_with_retries(
        self, client: ProviderClient, texts: Sequence[str], recorder: Recorder
    ) -> Sequence[Vector]:
        numbers = count(1)
        retries = stamina.retry_context(
            on=_choose_wait,
            attempts=self._attempts,
            timeout=None,
            wait_initial=self._wait_initial,
            wait_max=10.0,
        )
        try:
            async for attempt in retries:
                with attempt:
                    response = await self._send_recorded(client, texts, next(numbers), recorder)
                    if response.next == "retry":
                        raise _RetryableError(response)
        except _RetryableError as error:
            response = error.response
        return _check_accepted(response)

    async def _send_recorded(
        self, client: ProviderClient, texts: Sequence[str], number: int, recorder: Recorder
    ) -> ProviderResponse:
        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        with outside_event_loop():
            handle = recorder.begin(
                model=self.model, attempt=number, estimate=self._estimate_cost(texts)
            )
        response, started = _ABANDONED, time.monotonic()
        try:
            request_id = "" if handle is None else str(handle)
            response = await client.send_texts(body, request_id=request_id)
        finally:
            call = self._build_record(response, number, time.monotonic() - started)
            record_request(call)
            _log_failure(call, response)
            with outside_event_loop():
                recorder.end(handle, call)
        return response

    def _estimate_cost(self, texts: Sequence[str]) -> CostEstimate:
        """Return an upper bound of the cost: a token is at least one byte long."""
        tokens = sum(len(text.encode()) + TOKENS_PER_TEXT for text in texts)
        return CostEstimate(tokens, 0, compute_cost(Usage(tokens), self.model, self._prices))

    def _build_record(self, response: ProviderResponse, number: int, seconds: float) -> CallRecord:
        usage = response.usage or NO_USAGE
        return CallRecord(
            model=self.model,
            outcome=response.outcome,
            status=response.status,
            attempt=number,
            prompt_tokens=usage.prompt,
            cost_usd=compute_cost(usage, self.model, self._prices),
            is_estimate=response.usage is None,
            duration_ms=round(seconds * 1000),
            error=response.error and f"the provider {response.error}",
        )


def _choose_wait(error: Exception) -> bool | float:
    """Return whether stamina retries, or the seconds until it does."""
    if not isinstance(error, _RetryableError):
        return False
    wait = error.response.retry_after
    return True if wait is None else wait <= MAX_WAIT_S and wait


def _check_accepted(response: ProviderResponse) -> Sequence[Vector]:
    message = f"the provider {response.error}"
    if response.next == "accept":
        return response.vectors
    is_final = response.next in ("refuse", "shorten", "adapt", "lower_limit")
    if is_final and response.status not in _SETTING_STATUSES and response.outcome != "lost":
        raise TextRefused(message)
    raise ProviderUnavailable(message, retry_after=response.retry_after)


def _log_failure(call: CallRecord, response: ProviderResponse) -> None:
    """Log why a request failed, without the provider's words, which may quote the texts."""
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
