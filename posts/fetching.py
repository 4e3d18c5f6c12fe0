"""Fetching the feed if it has changed, with limits of time, size and redirects."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import stamina
from django.conf import settings

from common.retry_after import parse_retry_after
from posts.errors import FeedError

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 3.0, 5.0
MAX_ATTEMPTS = 3
MAX_REDIRECTS = 3
FIRST_RETRY_DELAY_S = 0.3
# For a longer delay, which the feed may ask for, the job is queued again.
MAX_RETRY_DELAY_S = 5.0
MAX_VALIDATOR_CHARS = 500
OK, NOT_MODIFIED = 200, 304
RETRYABLE_STATUSES = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of an earlier response from `url`."""

    url: str = ""
    etag: str = ""
    last_modified: str = ""

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers of a conditional request, or none for another URL."""
        if url != self.url:
            return {}
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}


@dataclass(frozen=True, slots=True)
class Payload:
    body: bytes
    validators: Validators


def fetch(validators: Validators) -> Payload | None:
    """Return the feed of `POSTS_API_URL`, or `None` if it has not changed.

    Takes at most `POSTS_TIMEOUT` seconds, however slowly the bytes arrive; raises `FeedError`.
    """
    return asyncio.run(_fetch_with_deadline(validators))


async def _fetch_with_deadline(validators: Validators) -> Payload | None:
    try:
        async with asyncio.timeout(settings.POSTS_TIMEOUT):
            return await _fetch_with_retries(validators)
    except TimeoutError:
        raise FeedError(f"took longer than {settings.POSTS_TIMEOUT:g} seconds.") from None


async def _fetch_with_retries(validators: Validators) -> Payload | None:
    retries = stamina.retry_context(
        on=_retry_delay,
        attempts=MAX_ATTEMPTS,
        timeout=None,
        wait_initial=FIRST_RETRY_DELAY_S,
        wait_max=2.0,
        wait_jitter=FIRST_RETRY_DELAY_S,
    )
    async for attempt in retries:
        with attempt:
            return await _fetch_once(validators)
    raise AssertionError("unreachable: the last attempt raises")


def _retry_delay(error: Exception) -> bool | float:
    """Return whether stamina retries, or after how many seconds it does."""
    if not isinstance(error, FeedError) or not error.is_retryable:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= MAX_RETRY_DELAY_S else False


async def _fetch_once(validators: Validators) -> Payload | None:
    url = settings.POSTS_API_URL
    conditions = validators.headers(url)
    try:
        async with _open_response(url, conditions) as response:
            if response.status_code == NOT_MODIFIED and conditions:
                return None
            return await _read_payload(response, url)
    except httpx2.TimeoutException as error:
        message = f"did not answer in time ({type(error).__name__})."
        raise FeedError(message, is_retryable=True) from None
    except httpx2.TransportError as error:
        message = f"can't be reached ({type(error).__name__})."
        raise FeedError(message, is_retryable=True) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise FeedError(f"can't be requested ({type(error).__name__}).") from None


@asynccontextmanager
async def _open_response(url: str, headers: dict[str, str]) -> AsyncIterator[httpx2.Response]:
    """Follow redirects and yield the response; no body has been read."""
    all_headers = {
        "Accept": "application/json",
        # A compressed body could exceed the limit when it is decompressed.
        "Accept-Encoding": "identity",
        "User-Agent": f"Bureau/{settings.VERSION}",
        **headers,
    }
    timeout = httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    async with httpx2.AsyncClient(timeout=timeout, headers=all_headers) as client:
        request = client.build_request("GET", url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    yield response
                    return
                request = _redirected_request(response)
            finally:
                await response.aclose()
    raise FeedError("redirects too often.")


def _redirected_request(response: httpx2.Response) -> httpx2.Request:
    request = response.next_request
    assert request is not None
    if response.url.scheme == "https" != request.url.scheme:
        raise FeedError("redirects from https to http.")
    return request


async def _read_payload(response: httpx2.Response, url: str) -> Payload:
    status = response.status_code
    if status != OK:
        is_retryable = status >= 500 or status in RETRYABLE_STATUSES
        delay = parse_retry_after(response.headers, time.time()) if is_retryable else None
        raise FeedError(f"answered {status}.", is_retryable=is_retryable, retry_after=delay)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FeedError("is compressed, although an uncompressed answer was requested.")
    etag, last_modified = (_validator(response, name) for name in ("etag", "last-modified"))
    return Payload(await _read_body(response), Validators(url, etag, last_modified))


def _validator(response: httpx2.Response, name: str) -> str:
    """Return a validator that can be stored and sent back, or an empty string."""
    value: str = response.headers.get(name, "")
    return value if value.isascii() and len(value) <= MAX_VALIDATOR_CHARS else ""


async def _read_body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > settings.POSTS_MAX_BYTES:
            raise FeedError(f"is larger than {settings.POSTS_MAX_BYTES} bytes.")
    return bytes(body)
