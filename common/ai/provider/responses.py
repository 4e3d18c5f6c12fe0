"""Parse a provider's response into plain data.

No `ProviderResponse` contains the provider's own words, which may quote the key or the text.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from common.ai.provider.answer_format import remove_thinking
from common.ai.text.chunking import estimate_tokens
from common.ai.types import CallOutcome, Usage
from common.retry_after import parse_retry_after

MAX_COMPLETION_TOKENS = 1_000_000  # a larger number in a provider's usage is wrong
MAX_HIDDEN_PROMPT_TOKENS = 20_000  # that a provider may add to our prompt

NextStep = Literal["accept", "retry", "postpone", "refuse", "shorten"]

NO_USAGE = Usage()

_too_long = re.compile(
    r"context.{0,9}(length|window|size)|maximum context|too long|too many tokens", re.IGNORECASE
)
_unsupported = re.compile(
    r"unsupported|not support|unrecogni|unexpected|not permitted|unknown", re.IGNORECASE
)
_OPTIONAL_PARAMETERS = ("max_tokens", "temperature")
_REFUSALS = {
    401: "refused our key (401)",
    402: "requires a payment (402)",
    403: "does not allow our key to do this (403)",
}


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """The result of one request, and what to do `next`.

    accept: use the text; retry: send the request again; postpone: run the job again later;
    refuse: fail the job; shorten: send a shorter text.

    `error` is a predicate for "the provider …". `usage` is `None` if the provider may bill the
    request but its usage is unknown. `is_truncated` marks an answer that
    stopped at the token limit. `unsupported_parameter` is the name of a parameter to leave out of
    the next request.
    """

    outcome: CallOutcome
    next: NextStep = "refuse"
    status: int | None = None
    text: str = ""
    is_truncated: bool = False
    usage: Usage | None = NO_USAGE
    error: str = ""
    retry_after: float | None = None
    unsupported_parameter: str = ""


def parse_error(
    status: int,
    error: Mapping[str, Any],
    headers: Mapping[str, str],
    body: Mapping[str, Any],
) -> ProviderResponse:
    """Return the response for a status that is not 2xx.

    `error` has the provider's `code`, `type`, `param` and `message`; `body` is what was sent.
    """
    words = " ".join(str(error.get(key)) for key in ("code", "type", "message"))
    wait = parse_retry_after(headers, time.time())
    if status == 429 and "insufficient_quota" in words:  # will not change within seconds
        reason = "says that our quota is used up (429)"
        return ProviderResponse("rate_limited", "postpone", status, error=reason)
    if status == 429:
        reason = "answered 429 (too many requests)"
        return ProviderResponse("rate_limited", "retry", status, error=reason, retry_after=wait)
    if status >= 500 or status in (408, 409, 425):
        reason = f"answered {status}"
        return ProviderResponse("error", "retry", status, error=reason, retry_after=wait)
    if status == 413 or (status in (400, 422) and _too_long.search(words)):
        reason = "says that the text is too long for its model"
        return ProviderResponse("error", "shorten", status, error=reason)
    return ProviderResponse(
        "error",
        "refuse",
        status,
        error=_describe_refusal(status, words, body),
        unsupported_parameter=_find_unsupported_parameter(error.get("param"), words, body),
    )


def _describe_refusal(status: int, words: str, body: Mapping[str, Any]) -> str:
    if "content_filter" in words or "content_policy" in words:
        return "declined to summarise this text"
    if status == 404:
        return f"does not know the model {body['model']!r}, or its address is wrong (404)"
    return _REFUSALS.get(status, f"refused the request ({status})")


def _find_unsupported_parameter(param: object, words: str, body: Mapping[str, Any]) -> str:
    """Return the optional parameter that was sent and refused, "" if none was."""
    if not _unsupported.search(words):
        return ""
    refused = str(param) if param else words
    return next((name for name in _OPTIONAL_PARAMETERS if name in refused and name in body), "")


def parse_answer(content: bytes, status: int, body: Mapping[str, Any]) -> ProviderResponse:
    """Return the response for a 2xx status with any `content`; `body` is what was sent."""
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        reason = "sent an answer that is not JSON"
        return ProviderResponse("invalid", "retry", status, usage=None, error=reason)
    choice = _get(payload, "choices", 0)
    text = remove_thinking(_join_content(_get(choice, "message", "content")))
    usage = parse_usage(_get(payload, "usage"), body["messages"], text)
    finish = _get(choice, "finish_reason")
    if finish == "content_filter" or _get(choice, "message", "refusal"):
        reason = "declined to summarise this text"
        return ProviderResponse("error", "refuse", status, usage=usage, error=reason)
    if finish == "length":
        outcome: CallOutcome = "ok" if text else "invalid"
        reason = "cut its answer off"
        return ProviderResponse(outcome, "accept", status, text, True, usage, reason)
    if not text.replace("\ufffd", "").strip():
        reason = "sent an empty answer"
        return ProviderResponse("invalid", "retry", status, usage=usage, error=reason)
    return ProviderResponse("ok", "accept", status, text, usage=usage)


def _get(value: Any, *path: str | int) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _join_content(content: Any) -> str:
    """Return the text; some servers send a list of parts instead of a string."""
    if isinstance(content, list):
        return "".join(_join_content(_get(part, "text")) for part in content)
    return content if isinstance(content, str) else ""


def parse_usage(usage: Any, messages: list[dict[str, str]], text: str) -> Usage | None:
    """Return the provider's `usage`, with estimates for missing and impossible numbers.

    Return `None` for an empty answer without usage, because its cost is unknown.
    """
    if not isinstance(usage, dict) and not text:
        return None
    sent = "".join(message["content"] for message in messages)
    max_prompt = len(sent.encode()) + MAX_HIDDEN_PROMPT_TOKENS
    prompt = _parse_tokens(_get(usage, "prompt_tokens"), max_prompt) or estimate_tokens(sent)
    completion = _parse_tokens(_get(usage, "completion_tokens"), MAX_COMPLETION_TOKENS)
    completion = completion or estimate_tokens(text)
    cached = _parse_tokens(_get(usage, "prompt_tokens_details", "cached_tokens"), prompt)
    reasoning = _get(usage, "completion_tokens_details", "reasoning_tokens")
    return Usage(prompt, completion, cached, _parse_tokens(reasoning, completion))


def _parse_tokens(value: Any, maximum: int) -> int:
    """Return `value` if it is a number from 1 to `maximum`, else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= maximum:
        return 0
    return int(value)
