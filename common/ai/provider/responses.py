"""What a provider's response means for us, as plain data.

No `Reply` holds a provider's own words, which may quote the key or the text.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from common.ai.prompts import shown
from common.ai.text.chunking import estimate_tokens
from common.ai.types import Outcome, Usage
from common.retry_after import retry_after

MAX_COMPLETION = 1_000_000  # tokens; a usage figure above it is absurd
HIDDEN_PROMPT = 20_000  # tokens that a provider may add to a prompt of its own

Next = Literal["take", "again", "later", "refuse", "shrink"]

NO_USAGE = Usage()

_too_long = re.compile(
    r"context.{0,9}(length|window|size)|maximum context|too long|too many tokens", re.IGNORECASE
)
_unsupported = re.compile(
    r"unsupported|not support|unrecogni|unexpected|not permitted|unknown", re.IGNORECASE
)
_OPTIONAL = ("max_tokens", "temperature")
_REFUSALS = {
    401: "refused our key (401)",
    402: "wants to be paid first (402)",
    403: "does not allow our key to do this (403)",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request brought, and what to do `next`: take the text, try again, try much later,
    give up, or send a shorter text.

    `error` continues "the provider ...". `cut` is an answer that stopped at the token limit,
    `unsupported` the name of a parameter to ask again without.
    """

    outcome: Outcome
    next: Next = "refuse"
    status: int | None = None
    text: str = ""
    cut: bool = False
    usage: Usage = NO_USAGE
    error: str = ""
    retry_after: float | None = None
    unsupported: str = ""


def did_not_answer(timeout: float) -> Reply:
    """The reply where none came within `timeout` seconds."""
    return Reply("timeout", "later", error=f"did not answer within {timeout:g} seconds")


def read_error(
    status: int,
    error: Mapping[str, Any],
    headers: Mapping[str, str],
    params: Mapping[str, Any],
) -> Reply:
    """The reply in a status that is not 2xx. `error` is the provider's account of it (`code`,
    `type`, `param`, `message`), `params` the body of the request."""
    words = " ".join(str(error.get(key)) for key in ("code", "type", "message"))
    wait = retry_after(headers, time.time())
    if status == 429 and "insufficient_quota" in words:  # waiting a few seconds will not fill it
        return Reply("rate_limited", "later", status, error="says that our quota is used up (429)")
    if status == 429:
        reason = "answered 429 (too many requests)"
        return Reply("rate_limited", "again", status, error=reason, retry_after=wait)
    if status >= 500 or status in (408, 409, 425):
        return Reply("error", "again", status, error=f"answered {status}", retry_after=wait)
    if status == 413 or (status in (400, 422) and _too_long.search(words)):
        return Reply(
            "error", "shrink", status, error="says that the text is too long for its model"
        )
    unsupported = _unsupported_name(error.get("param"), words, params)
    reason = _refusal(status, words, params)
    return Reply("error", "refuse", status, error=reason, unsupported=unsupported)


def _refusal(status: int, words: str, params: Mapping[str, Any]) -> str:
    if "content_filter" in words or "content_policy" in words:
        return "declined to summarise this text"
    if status == 404:
        return f"does not know the model {params['model']!r}, or its address is wrong (404)"
    return _REFUSALS.get(status, f"refused the request ({status})")


def _unsupported_name(param: object, words: str, params: Mapping[str, Any]) -> str:
    """Which of the sent parameters that we can do without is refused, "" if none."""
    if not _unsupported.search(words):
        return ""
    accused = str(param) if param else words
    return next((name for name in _OPTIONAL if name in accused and name in params), "")


def read_answer(body: bytes, status: int, params: Mapping[str, Any]) -> Reply:
    """The reply in a body that came with a 2xx, whatever is in it."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return Reply("invalid", "again", status, error="sent an answer that is not JSON")
    choice = _dig(payload, "choices", 0)
    text = shown(_content(_dig(choice, "message", "content")))
    usage = read_usage(_dig(payload, "usage"), params["messages"], text)
    finish = _dig(choice, "finish_reason")
    if finish == "content_filter" or _dig(choice, "message", "refusal"):
        return Reply("error", status=status, usage=usage, error="declined to summarise this text")
    if finish == "length":
        outcome: Outcome = "ok" if text else "invalid"
        return Reply(outcome, "take", status, text, True, usage, "cut its answer off")
    if not text.replace("\ufffd", "").strip():
        return Reply("invalid", "again", status, usage=usage, error="sent an empty answer")
    return Reply("ok", "take", status, text, usage=usage)


def _dig(value: Any, *path: str | int) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _content(content: Any) -> str:
    """Some servers send a list of parts where others send a string."""
    if isinstance(content, list):
        return "".join(_content(_dig(part, "text")) for part in content)
    return content if isinstance(content, str) else ""


def read_usage(figures: Any, messages: list[dict[str, str]], text: str) -> Usage:
    """The provider's figures; an estimate where one is missing or cannot be true.

    With neither figures nor a text there is nothing to estimate: an empty answer of unknown cost.
    """
    if not isinstance(figures, dict) and not text:
        return NO_USAGE
    sent = "".join(message["content"] for message in messages)
    ceiling = len(sent.encode()) + HIDDEN_PROMPT
    prompt = _tokens(_dig(figures, "prompt_tokens"), ceiling) or estimate_tokens(sent)
    completion = _tokens(_dig(figures, "completion_tokens"), MAX_COMPLETION)
    completion = completion or estimate_tokens(text)
    cached = _tokens(_dig(figures, "prompt_tokens_details", "cached_tokens"), prompt)
    reasoning = _dig(figures, "completion_tokens_details", "reasoning_tokens")
    return Usage(prompt, completion, cached, _tokens(reasoning, completion))


def _tokens(value: Any, ceiling: int) -> int:
    """`value` if it is a count from 1 to `ceiling`, else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= ceiling:
        return 0
    return int(value)
