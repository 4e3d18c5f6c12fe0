"""One request to an OpenAI-compatible endpoint, bounded in time and size.

Chat Completions, because every compatible server has them. Nothing here retries, and nothing
raises for what a provider does: `ask` gives a `Reply` that says what came and what to do next.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx2
import openai

from common.ai.provider.responses import Reply, did_not_answer, read_answer, read_error

CONNECT_SECONDS = 5.0
KEEP_SECONDS = 2.0
REQUEST_ID = "X-Client-Request-Id"  # OpenAI's own name for an id that the client gives
MAX_BYTES = 5_000_000
MAX_PACKED_BYTES = MAX_BYTES // 100  # of a compressed body, which can unpack to a thousand times

_MALFORMED = Reply("error", "refuse", error="cannot be asked: its address or key is malformed")


class _TooBig(httpx2.ReadError):
    """More than `MAX_BYTES` came."""


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream, self._left = stream, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise _TooBig("the response is too big")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    packed = "content-encoding" in response.headers
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream, MAX_PACKED_BYTES if packed else MAX_BYTES)


@cache
def _tls() -> SSLContext:
    return httpx2.create_ssl_context()  # 20 ms to build, and safe to share and to fork


def connect(
    *, api_key: str, base_url: str, timeout: float, late: float = 0.0
) -> openai.AsyncOpenAI:
    """A client for one event loop; close it there. `late` is added to `timeout` for what has left
    already. Redirects are not followed: they would carry the text to another place."""
    for name in ("openai", "httpx2", "httpcore2"):  # below WARNING they log texts and addresses
        logging.getLogger(name).setLevel(logging.WARNING)
    times = httpx2.Timeout(timeout + late, connect=min(timeout, CONNECT_SECONDS))
    http = httpx2.AsyncClient(
        verify=_tls(),
        # A request that queued could leave too late, and a connection that was idle for as long as
        # servers keep them (5 seconds) may be closed in the moment in which it is used again.
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=KEEP_SECONDS),
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [_bound]},
        follow_redirects=False,
    )
    return openai.AsyncOpenAI(
        api_key=api_key, base_url=base_url, max_retries=0, timeout=times, http_client=http
    )


async def ask(
    client: openai.AsyncOpenAI, params: dict[str, Any], timeout: float, *, request_id: str = ""
) -> Reply:
    """One request with the body `params`; `timeout` seconds bound all of it, the name's look-up
    and a server that dribbles bytes included. The provider is told our `request_id`."""
    headers = {REQUEST_ID: request_id} if request_id else None
    try:
        async with asyncio.timeout(timeout):
            create = client.chat.completions.with_raw_response.create
            raw = await create(**params, extra_headers=headers)
    except (TimeoutError, openai.APITimeoutError) as error:
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            return Reply("timeout", "later", error="could not be reached in time")
        return did_not_answer(timeout)
    except openai.APIStatusError as error:
        account = {"code": error.code, "type": error.type, "param": error.param}
        account["message"] = error.message
        return read_error(error.status_code, account, error.response.headers, params)
    except openai.APIConnectionError as error:
        return _broken(error.__cause__)
    except (openai.OpenAIError, httpx2.InvalidURL, UnicodeError):
        return _MALFORMED
    return read_answer(raw.http_response.content, raw.status_code, params)


def _broken(cause: BaseException | None) -> Reply:
    match cause:
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            return _MALFORMED
        case _TooBig():
            return Reply("invalid", "again", error="sent far too much")
        case httpx2.RemoteProtocolError() | httpx2.ReadError() | httpx2.DecodingError():
            return Reply("invalid", "again", error="broke off its answer")
    return Reply("error", "again", error="could not be reached")
