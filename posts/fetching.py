"""Fetching the feed if it has changed, with limits of time, size and redirects."""

import asyncio
import time
from dataclasses import dataclass

import stamina
from django.conf import settings

from common import outbound
from common.event_loop import run_in_calling_thread
from common.outbound import OutboundError, Response
from common.retry_after import parse_retry_after
from posts.errors import FeedError

MAX_ATTEMPTS = 3
MAX_REDIRECTS = 5
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
    return run_in_calling_thread(_fetch_with_deadline(validators))


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
    headers = {"Accept": "application/json", "User-Agent": f"Bureau/{settings.VERSION}"}
    try:
        async with outbound.open_response(
            url, headers=headers | conditions, allow_private=True, max_redirects=MAX_REDIRECTS
        ) as response:
            if response.status_code == NOT_MODIFIED and conditions:
                return None
            return await _read_payload(response, url)
    except OutboundError as error:
        raise FeedError(str(error), is_retryable=error.is_retryable) from None


async def _read_payload(response: Response, url: str) -> Payload:
    status = response.status_code
    if status != OK:
        is_retryable = status >= 500 or status in RETRYABLE_STATUSES
        delay = parse_retry_after(response.headers, time.time()) if is_retryable else None
        raise FeedError(f"answered {status}.", is_retryable=is_retryable, retry_after=delay)
    etag, last_modified = (_validator(response, name) for name in ("etag", "last-modified"))
    body = await outbound.read_body(response, max_bytes=settings.POSTS_MAX_BYTES)
    return Payload(body, Validators(url, etag, last_modified))


def _validator(response: Response, name: str) -> str:
    """Return a validator that can be stored and sent back, or an empty string."""
    value: str = response.headers.get(name, "")
    return value if value.isascii() and len(value) <= MAX_VALIDATOR_CHARS else ""
