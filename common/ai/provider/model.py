"""A model of an OpenAI-compatible provider, with its options."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from common.ai.provider.client import ProviderClient
from common.ai.provider.options import Endpoint, ProviderOptions
from common.ai.provider.retries import ProviderSession
from common.ai.types import Price, Recorder

OPENAI_URL = "https://api.openai.com/v1"


class ProviderModel:
    """The `model` at `base_url`; threads and forks can share it.

    `max_tokens` limits an answer; one that does not fit is requested again with four times as
    many. With `temperature` None the provider chooses. `timeout` is in seconds for each request,
    `attempts` is the number of requests for one answer. `context_tokens` is the model's limit for
    prompt and answer together. `concurrency` bounds the parallel requests of one summary. The waits
    between attempts are in seconds: `wait_initial`, doubled
    up to `wait_max`, plus up to `wait_jitter`.
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
        self.options = ProviderOptions(
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

    @asynccontextmanager
    async def open_session(self, recorder: Recorder) -> AsyncIterator[ProviderSession]:
        """Open a connection for the requests of one piece of work."""
        async with ProviderClient(self._endpoint) as client:
            yield ProviderSession(self.options, client, recorder)
