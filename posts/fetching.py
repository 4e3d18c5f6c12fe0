"""Getting the feed's bytes: bounded in time, size and redirects, and only if they have changed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import stamina
from django.conf import settings

from common.retry_after import retry_after
from posts.errors import FeedError

CONNECT, READ = 3.0, 5.0
ATTEMPTS = 3
MOST_REDIRECTS = 3
FIRST_PAUSE = 0.3
# For a longer pause than this the job is put back.
LONGEST_PAUSE = 5.0
NOT_MODIFIED = 304
LONGEST_VALIDATOR = 500


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server knows a version of its answer by; `url` is where that was had."""

    url: str = ""
    etag: str = ""
    last_modified: str = ""

    def headers(self, url: str) -> dict[str, str]:
        """To ask only for what has changed, if anything of `url` is known."""
        if url != self.url:
            return {}
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Payload:
    body: bytes
    validators: Validators


def fetch(known: Validators) -> Payload | None:
    """The feed of `POSTS_API_URL`, or `None` where it is still what `known` names.

    Takes `POSTS_TIMEOUT` seconds at most, however slowly the bytes drip; raises `FeedError`.
    """
    return asyncio.run(_within_time(known))


async def _within_time(known: Validators) -> Payload | None:
    try:
        async with asyncio.timeout(settings.POSTS_TIMEOUT):
            return await _persist(known)
    except TimeoutError:
        raise FeedError(f"took longer than {settings.POSTS_TIMEOUT:g} seconds.") from None


async def _persist(known: Validators) -> Payload | None:
    retries = stamina.retry_context(
        on=_pause,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=FIRST_PAUSE,
        wait_max=2.0,
        wait_jitter=FIRST_PAUSE,
    )
    async for attempt in retries:
        with attempt:
            return await _ask(known)
    raise AssertionError("unreachable: the last attempt raises")


def _pause(error: Exception) -> bool | float:
    """stamina's question: whether to try again, or after how many seconds."""
    if not isinstance(error, FeedError) or not error.again:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= LONGEST_PAUSE else False


async def _ask(known: Validators) -> Payload | None:
    url = settings.POSTS_API_URL
    try:
        conditions = known.headers(url)
        async with _answer(url, conditions) as response:
            if response.status_code == NOT_MODIFIED and conditions:
                return None
            return await _taken(response, url)
    except httpx2.TimeoutException as error:
        raise FeedError(f"did not answer in time ({type(error).__name__}).", again=True) from None
    except httpx2.TransportError as error:
        raise FeedError(f"can't be reached ({type(error).__name__}).", again=True) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise FeedError(f"can't be asked ({type(error).__name__}).") from None


@asynccontextmanager
async def _answer(url: str, headers: dict[str, str]) -> AsyncIterator[httpx2.Response]:
    """The answer with its body unread, behind at most three redirects, whose bodies stay so too."""
    asked = {
        "Accept": "application/json",
        # Packed bytes would unpack to more than anybody has counted.
        "Accept-Encoding": "identity",
        "User-Agent": f"Bureau/{settings.VERSION}",
        **headers,
    }
    timeout = httpx2.Timeout(READ, connect=CONNECT)
    async with httpx2.AsyncClient(timeout=timeout, headers=asked) as client:
        request = client.build_request("GET", url)
        for _ in range(MOST_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    yield response
                    return
                request = _next(response)
            finally:
                await response.aclose()
    raise FeedError("redirects too often.")


def _next(response: httpx2.Response) -> httpx2.Request:
    request = response.next_request
    assert request is not None
    if response.url.scheme == "https" != request.url.scheme:
        raise FeedError("redirects from https to http.")
    return request


async def _taken(response: httpx2.Response, url: str) -> Payload:
    status = response.status_code
    if status != 200:
        again = status >= 500 or status in (408, 425, 429)
        wait = retry_after(response.headers, time.time()) if again else None
        raise FeedError(f"answered {status}.", again=again, retry_after=wait)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FeedError("is packed, although it was asked not to be.")
    etag, last_modified = (_usable(response, name) for name in ("etag", "last-modified"))
    return Payload(await _body(response), Validators(url, etag, last_modified))


def _usable(response: httpx2.Response, name: str) -> str:
    """A validator that can be kept and sent back, or an empty string."""
    value: str = response.headers.get(name, "")
    return value if value.isascii() and len(value) <= LONGEST_VALIDATOR else ""


async def _body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > settings.POSTS_MAX_BYTES:
            raise FeedError(f"is larger than {settings.POSTS_MAX_BYTES} bytes.")
    return bytes(body)
