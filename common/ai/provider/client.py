"""Send one request to an OpenAI-compatible endpoint, bounded in time and size.

It uses Chat Completions, which every compatible server has, and Embeddings. It never retries, and
it returns a provider's failure as a `ProviderResponse` instead of raising it.

Importing this module imports openai, which takes 50 MB: only `common.ai.summarizer()` and
`common.ai.embeddings` do it where they need a provider, so that processes without AI work stay
small and a worker's children share the memory.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import httpx2
import openai

from common.ai.provider.options import Endpoint
from common.ai.provider.responses import ProviderResponse, parse_answer, parse_failure
from common.ai.provider.vectors import parse_vectors

CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 2.0
REQUEST_ID_HEADER = "X-Client-Request-Id"  # OpenAI's name for an id that the client chooses
MAX_RESPONSE_BYTES = 5_000_000
MAX_COMPRESSED_BYTES = MAX_RESPONSE_BYTES // 100  # unpacking can multiply it by a thousand

_MALFORMED_SETTINGS = ProviderResponse(
    "error", "refuse", error="cannot be called: its address or key is malformed"
)


class _ResponseTooLarge(httpx2.ReadError):
    """A response has more bytes than allowed."""


class _LimitedStream(httpx2.AsyncByteStream):
    """A response's stream that raises `_ResponseTooLarge` after `limit` bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream, self._bytes_left = stream, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._bytes_left -= len(chunk)
            if self._bytes_left < 0:
                raise _ResponseTooLarge("the response is too large")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class ProviderClient:
    """A client for one event loop; close it there."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._timeout = endpoint.timeout
        self._client = _create_openai_client(endpoint)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def send(self, body: dict[str, Any], *, request_id: str = "") -> ProviderResponse:
        """Send one request for a chat completion; see `_send`."""
        create = self._client.chat.completions.with_raw_response.create
        return await self._send(create, parse_answer, body, request_id)

    async def send_texts(self, body: dict[str, Any], *, request_id: str = "") -> ProviderResponse:
        """Send one request for the embeddings of texts; see `_send`."""
        create = self._client.embeddings.with_raw_response.create
        return await self._send(create, parse_vectors, body, request_id)

    async def _send(
        self,
        create: Callable[..., Awaitable[Any]],
        parse: Callable[[bytes, int, Mapping[str, str], Mapping[str, Any]], ProviderResponse],
        body: dict[str, Any],
        request_id: str,
    ) -> ProviderResponse:
        """Send one request with our `request_id` as a header.

        The endpoint's timeout bounds all of it, including the name look-up and a response that
        arrives byte by byte.
        """
        headers = {REQUEST_ID_HEADER: request_id} if request_id else None
        try:
            async with asyncio.timeout(self._timeout):
                raw = await create(**body, extra_headers=headers)
        except (TimeoutError, openai.APITimeoutError) as error:
            return self._describe_timeout(error)
        except openai.APIStatusError as error:
            failed = error.response
            return parse_failure(failed.status_code, failed.content, failed.headers, body)
        except openai.APIConnectionError as error:
            return _describe_failure(error.__cause__)
        except (openai.OpenAIError, httpx2.InvalidURL, UnicodeError):
            return _MALFORMED_SETTINGS
        return parse(raw.http_response.content, raw.status_code, raw.headers, body)

    def _describe_timeout(self, error: Exception) -> ProviderResponse:
        if isinstance(error.__cause__, httpx2.ConnectTimeout):  # nothing was sent
            return ProviderResponse("timeout", "postpone", error="could not be reached in time")
        reason = f"did not answer within {self._timeout:g} seconds"
        return ProviderResponse("timeout", "postpone", usage=None, error=reason)


def _create_openai_client(endpoint: Endpoint) -> openai.AsyncOpenAI:
    """Return a client without redirects, which would send the text to another address."""
    for name in ("openai", "httpx2", "httpcore2"):  # below WARNING they log texts and addresses
        logging.getLogger(name).setLevel(logging.WARNING)
    connect_timeout = min(endpoint.timeout, CONNECT_TIMEOUT_S)
    http_client = httpx2.AsyncClient(
        verify=_create_tls_context(),
        # With a limit, requests would wait for a connection. Servers close connections that are
        # idle for 5 seconds, possibly just when we use them again.
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=KEEPALIVE_S),
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [_limit_size]},
        follow_redirects=False,
    )
    base_url, _, query = endpoint.base_url.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    # Azure has API versions, and its own header for keys.
    headers = {"api-key": endpoint.api_key} if "api-version" in parameters else None
    return openai.AsyncOpenAI(
        api_key=endpoint.api_key,
        base_url=base_url,
        default_query=parameters,
        default_headers=headers,
        max_retries=0,
        timeout=httpx2.Timeout(endpoint.timeout, connect=connect_timeout),
        http_client=http_client,
    )


@cache
def _create_tls_context() -> SSLContext:
    return httpx2.create_ssl_context()  # takes 20 ms; threads and forks can share it


async def _limit_size(response: httpx2.Response) -> None:
    is_compressed = "content-encoding" in response.headers
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    limit = MAX_COMPRESSED_BYTES if is_compressed else MAX_RESPONSE_BYTES
    response.stream = _LimitedStream(response.stream, limit)


def _describe_failure(cause: BaseException | None) -> ProviderResponse:
    """Return the response for a connection that failed; once sent, a request may be billed."""
    match cause:
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            return _MALFORMED_SETTINGS
        case _ResponseTooLarge():
            return ProviderResponse(
                "invalid", "retry", usage=None, error="sent a response that is too large"
            )
        case httpx2.RemoteProtocolError() | httpx2.ReadError() | httpx2.DecodingError():
            return ProviderResponse("invalid", "retry", usage=None, error="ended its answer early")
    return ProviderResponse("error", "retry", error="could not be reached")
