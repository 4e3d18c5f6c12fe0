"""Parse a provider's response into plain data.

No `ProviderResponse` contains the provider's own words, which may quote the key or the text; only
the identifiers in `ErrorBody.code` and `ErrorBody.param`.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from common.ai.provider.answer_format import clean_text
from common.ai.provider.error_bodies import ErrorBody, describe_error, find_error, parse_error_body
from common.ai.provider.error_kinds import ErrorKind, classify, find_status
from common.ai.provider.finish_reasons import classify_finish
from common.ai.provider.reasoning import extract_answer
from common.ai.provider.usage import get_path, is_prompt_cut, parse_usage
from common.ai.types import CallOutcome, Usage
from common.retry_after import parse_retry_after

# accept: use the text; retry: send the request again; repeat: the same, but give up for good if
# all attempts end so; adapt: send the request without `unsupported`; lower_limit: send it with at
# most `maximum` tokens for the answer; shorten: send a shorter text; postpone: run the job again
# later; refuse: fail the job.
NextStep = Literal[
    "accept", "retry", "repeat", "adapt", "lower_limit", "shorten", "postpone", "refuse"
]

NO_USAGE = Usage()

_DECLINED = "declined to summarise this text: its content filter refused it"
_REASONS: Mapping[ErrorKind, tuple[NextStep, str]] = {
    ErrorKind.DECLINED: ("refuse", _DECLINED),
    ErrorKind.TOO_LONG: ("shorten", "says that the text is too long for its model"),
    ErrorKind.LIMIT_TOO_HIGH: ("lower_limit", "allows fewer tokens for an answer"),
    ErrorKind.LIMIT_REACHED: ("accept", "cut its answer off"),
    ErrorKind.UNSUPPORTED: ("adapt", "does not support a part of the request"),
    ErrorKind.QUOTA: ("postpone", "says that our quota is used up (429)"),
    ErrorKind.RATE_LIMIT: ("retry", "answered 429 (too many requests)"),
}
_REFUSALS = {
    401: "refused our key (401): OPENAI_API_KEY is wrong or missing",
    402: "requires a payment: our account has too little credit (402)",
    403: "does not allow our key to do this (403)",
}


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """The result of one request, and what to do `next`.

    `error` is a predicate for "the provider …". `usage` is `None` if the provider may bill the
    request but its usage is unknown. `is_truncated` marks an answer that stopped at the token
    limit, `is_prompt_cut` one to a prompt of which the provider has read only a part. `code` and
    `param` are those of the provider's error. `vectors` are embeddings, one for each text.
    """

    outcome: CallOutcome
    next: NextStep = "refuse"
    status: int | None = None
    text: str = ""
    is_truncated: bool = False
    usage: Usage | None = NO_USAGE
    error: str = ""
    retry_after: float | None = None
    unsupported: str = ""
    maximum: int = 0
    is_prompt_cut: bool = False
    code: str = ""
    param: str = ""
    vectors: tuple[list[float], ...] = ()


def parse_failure(
    status: int, content: bytes, headers: Mapping[str, str], body: Mapping[str, Any]
) -> ProviderResponse:
    """Return the response for a status that is not 2xx; `body` is what was sent."""
    return _build_failure(status, parse_error_body(content), headers, body)


def _build_failure(
    status: int | None,
    error: ErrorBody,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
) -> ProviderResponse:
    found = classify(status, error, body)
    kind = found.kind
    next_step, reason = _REASONS.get(kind) or (
        ("retry", f"answered {status}" if status else "sent an error instead of an answer")
        if kind == ErrorKind.TEMPORARY
        else ("refuse", _describe_refusal(status, error, body))
    )
    if kind == ErrorKind.UNSUPPORTED:
        reason = f"does not support the {found.unsupported} of the request ({status})"
    is_rate_limit = kind in (ErrorKind.RATE_LIMIT, ErrorKind.QUOTA)
    is_retried = kind in (ErrorKind.RATE_LIMIT, ErrorKind.TEMPORARY)
    return ProviderResponse(
        "rate_limited" if is_rate_limit else "error",
        next_step,
        status,
        is_truncated=kind == ErrorKind.LIMIT_REACHED,
        error=reason,
        retry_after=parse_retry_after(headers, time.time()) if is_retried else None,
        unsupported=found.unsupported,
        maximum=found.maximum,
        code=error.code,
        param=error.param,
    )


def _describe_refusal(status: int | None, error: ErrorBody, body: Mapping[str, Any]) -> str:
    if status == 404:
        return (
            f"does not know the model {body['model']!r}, or its address is wrong (404): most"
            " addresses end with /v1"
        )
    code = "" if error.code.isdigit() or error.code == "error" else f"code {error.code}"
    parameter = f"parameter {error.param}" if error.param else ""
    details = ", ".join(filter(None, [code, parameter]))
    default = f"refused the request ({status}){': ' if details else ''}{details}"
    return _REFUSALS.get(status or 0, default)


def parse_answer(
    content: bytes, status: int, headers: Mapping[str, str], body: Mapping[str, Any]
) -> ProviderResponse:
    """Return the response for a 2xx status with any `content`; `body` is what was sent."""
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        reason = "sent an answer that is not JSON"
        return ProviderResponse("invalid", "retry", status, usage=None, error=reason)
    choice = get_path(payload, "choices", 0)
    raw_text = _join_content(get_path(choice, "message", "content"))
    text = clean_text(extract_answer(raw_text)).strip()
    raw_usage = get_path(payload, "usage")
    usage = parse_usage(raw_usage, body["messages"], text)
    if failure := find_error(payload) or get_path(choice, "error"):
        return parse_embedded_error(failure, headers, body, usage if choice else NO_USAGE)
    response = _parse_choice(choice, text, bool(raw_text.strip()))
    is_cut = is_prompt_cut(raw_usage, body["messages"])
    return replace(response, status=status, usage=usage, is_prompt_cut=is_cut)


def parse_embedded_error(
    failure: Any, headers: Mapping[str, str], body: Mapping[str, Any], usage: Usage | None
) -> ProviderResponse:
    """Return the response for an error in a 200: it means what its own code says."""
    error = describe_error(failure)
    response = _build_failure(find_status(error), error, headers, body)
    return replace(response, usage=usage)


def _parse_choice(choice: Any, text: str, has_content: bool) -> ProviderResponse:
    """Return the response for a choice whose answer is `text`."""
    reason = get_path(choice, "finish_reason") or get_path(choice, "native_finish_reason")
    finish = classify_finish(reason)
    if finish == "declined" or get_path(choice, "message", "refusal"):
        return ProviderResponse("error", "refuse", error=_DECLINED)
    if finish == "failed":
        return ProviderResponse("error", "retry", error="stopped before its answer was complete")
    if finish == "cut":
        outcome: CallOutcome = "ok" if text else "invalid"
        return ProviderResponse(
            outcome, "accept", text=text, is_truncated=True, error="cut its answer off"
        )
    if text.replace("\ufffd", "").strip():
        return ProviderResponse("ok", "accept", text=text)
    reasoning = ("reasoning", "reasoning_content", "thinking")
    has_reasoning = any(get_path(choice, "message", name) for name in reasoning)
    is_reasoning = has_reasoning or (has_content and not text)
    reason = "sent its reasoning without an answer" if is_reasoning else "sent an empty answer"
    return ProviderResponse("invalid", "repeat", error=reason)


def _join_content(content: Any) -> str:
    """Return the text; some servers send a list of parts instead of a string."""
    if isinstance(content, list):
        return "".join(_join_content(get_path(part, "text")) for part in content if _is_text(part))
    return content if isinstance(content, str) else ""


def _is_text(part: Any) -> bool:
    return get_path(part, "type") not in ("thinking", "reasoning")
