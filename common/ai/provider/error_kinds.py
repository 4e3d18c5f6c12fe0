"""Tell what a provider's error means, and so what can be done about it.

The fields of an error are read before its words, and the words are those of many providers:
`common/tests/support/provider_errors.py` lists them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from common.ai.provider.error_bodies import ErrorBody

SYSTEM_ROLE = "system role"
OPTIONAL_PARAMETERS = {
    "temperature": re.compile(r"\btemperature\b|\bsampling param"),
    "max_tokens": re.compile(r"\bmax_tokens\b|\bmaxtokens\b"),
    "max_completion_tokens": re.compile(r"\bmax_completion_tokens\b"),
}
_PASSING_STATUSES = (408, 409, 425, 429)


class ErrorKind(Enum):
    """What an error means."""

    DECLINED = "the provider does not want to handle this text"
    TOO_LONG = "a shorter text may be accepted"
    LIMIT_TOO_HIGH = "a lower limit for the answer may be accepted"
    LIMIT_REACHED = "the limit for the answer was too low for the model's reasoning"
    UNSUPPORTED = "a part of the request that can be left out is not supported"
    QUOTA = "the quota is used up, for longer than a rate limit"
    RATE_LIMIT = "too many requests"
    TEMPORARY = "the same request may succeed later"
    FINAL = "the same request would fail again"


@dataclass(frozen=True, slots=True)
class ClassifiedError:
    """An error's kind; `unsupported` is the name of what to leave out, `maximum` a lower limit."""

    kind: ErrorKind
    unsupported: str = ""
    maximum: int = 0


_declined = re.compile(
    r"content[ _-]?(filter|policy|management|exists risk|moderation|safety)|\bmoderation\b|"
    r"responsible_?ai|data_?inspection|inappropriate|prohibited_content|flagged|usage guidelines|"
    r"safety (system|filter|setting|polic|reason|guideline)|due to safety|high risk|was filtered|"
    r"(?<!case[ -])sensitive|(content|prompt|text|input)[ _](was |is |has been )?blocked|harmful|"
    r"violat\w+ .{0,30}(polic|guideline|terms)|guardrail|model (has )?(refused|declined)|"
    r"\brecitation\b|\u654f\u611f|\u4e0d\u5b89\u5168"
)
_system_role = re.compile(
    r"(system|developer)('s|\W){0,3}(role|message|prompt|instruction)|['\"`]system['\"`]|"
    r"\brole\b.{0,40}\b(system|developer)\b|\b(system|developer)\b.{0,20}\brole\b"
)
_refused = re.compile(
    r"\bnot\b|n't\b|\bno\b|\bcannot\b|unsupported|invalid|unexpected|unknown|disallow|disabled|"
    r"unavailable|forbidden|reject|denied|deprecated|\u4e0d\u652f\u6301"
)
_allowed_roles = re.compile(
    r"roles? must alternate|only .{0,30}\b(user|assistant)\b.{0,40}\b(role|message)|"
    r"(should be|must be|one of|expected|must (be|come) from)\W*(a |the )?\W*(user|assistant)\b"
)
_answer_limit = re.compile(
    r"\bmax_?(completion_|new_|output_)?tokens\b|maxoutputtokens|"
    r"(completion|output|generat\w+) tokens"
)
_limit_reached = re.compile(
    r"(try again with|increase|raise|need\w*) (a )?(higher|larger|the)? ?`?max_|"
    r"(max_\w*tokens|output limit) .{0,30}(was|been|is) reached"
)
_excess = re.compile(
    r"too (long|large|high|big|many|great)|exceed|(long|great|larg|high|bigg)er than|"
    r"(more|less) than|at most|overflow|maximum|\bmax\b|up to|range|between|within|reduce|"
    r"short(er|en)|not enough|only \d|cannot fit|n't fit|not fit|beyond|below|above|over the|"
    r"needs|supports \d|limit|<=|(?<!<\d{3})> ?\d|\u8d85|\u8fc7\u957f"
)
_input = re.compile(
    r"\bcontext\b(?!_window)|context[_ ](length|size)|\bprompts?\b|\bmessages?\b(?! be)|"
    r"\binputs?\b(?! should| must be (less|a|between))|\bconversation\b|\bsequence\b|"
    r"\u4e0a\u4e0b\u6587|\u8f93\u5165"
)
_size = re.compile(r"token|length|context|\bsize\b|\bwindow\b|\blong\b|\blarge\b|character|\u957f")
_too_long = re.compile(
    r"request (is |was |entity |body )?too (large|long|big)|payload too large|"
    r"(text|content|string|body|document|conversation) (is |was )?too (large|long|big)|"
    r"too many (input |prompt )?(tokens|characters)|string above max length|"
    r"context ?(window|length|size) ?(limit )?exceed|longer than (the )?max|"
    r"(shorten|reduce) (the|your) (prompt|input|message|text|request|content)|"
    r"exceed\w* .{0,30}\btoken (count|limit)|token (count|limit).{0,20}(exceed|too)"
)
# On a rate limit only a request that is too large by itself: waiting would not help it.
_too_large_for_rate = re.compile(
    r"(request|prompt|input|message)s? (is |was |are )?(too (large|long|big)|larger than)|"
    r"must be reduced|(reduce|shorten) (the|your) (length|size|prompt|input|message|text|token)|"
    r"single request|context_length_exceeded"
)
_requested = re.compile(r"(?:requested|request (?:of|with|has))\W{0,3}(\d[\d,]*)")
_limit = re.compile(r"(?:limit|maximum|max)(?:\W|of\b|is\b|at\b){0,4}(\d[\d,]*)")
_quota = re.compile(
    r"insufficient[_ ](quota|balance|credit|fund)|exceeded_current_quota|"
    r"not enough (credit|balance)|out of credits|credit balance|\u4f59\u989d"
)
# The status that a 200 should have had.
_STATUS_WORDS = {
    402: r"insufficient[_ ](balance|credit|fund)|payment|billing|credits|\u4f59\u989d",
    429: r"rate[_ -]?limit|resource_?exhausted|too[_ ]many[_ ]requests|throttl|quota",
    401: r"authentication|unauthenticated|unauthori[sz]ed|api[_ ]?key",
    403: r"permission|forbidden|access[_ ]?denied|not allowed",
    404: r"not[_ ]?found|does not exist|no such model|unknown model",
    400: r"invalid|bad[_ ]?request|validation|unsupported|not supported|precondition",
}
_numbers = re.compile(r"(?<![\w.-])\d[\d,]*(?![\w.-]*[\w-])")


def find_status(error: ErrorBody) -> int | None:
    """Return the HTTP status that an error in a 200 stands for, None if it does not say."""
    if error.status:
        return error.status
    words = _STATUS_WORDS.items()
    return next((status for status, pattern in words if re.search(pattern, error.text)), None)


def classify(status: int | None, error: ErrorBody, sent: Mapping[str, Any]) -> ClassifiedError:
    """Return what an error means for the request body `sent`.

    `status` is the HTTP status, None for an error in a 200 that does not say its own.
    """
    if status == 429:
        return ClassifiedError(_classify_rate_limit(error))
    if status in (None, 400, 403, 422, 451) and _declined.search(error.text):
        return ClassifiedError(ErrorKind.DECLINED)
    if status == 413:
        return ClassifiedError(ErrorKind.TOO_LONG)
    if status in (None, 400, 405, 406, 415, 422, 500, 501) and (found := _find_remedy(error, sent)):
        return found
    is_temporary = status is None or status >= 500 or status in _PASSING_STATUSES
    return ClassifiedError(ErrorKind.TEMPORARY if is_temporary else ErrorKind.FINAL)


def _classify_rate_limit(error: ErrorBody) -> ErrorKind:
    if _quota.search(error.text):
        return ErrorKind.QUOTA
    if _too_large_for_rate.search(error.text):
        return ErrorKind.TOO_LONG
    requested, limit = _requested.search(error.text), _limit.search(error.text)
    if requested and limit and _to_int(requested[1]) > _to_int(limit[1]):
        return ErrorKind.TOO_LONG
    return ErrorKind.RATE_LIMIT


def _find_remedy(error: ErrorBody, sent: Mapping[str, Any]) -> ClassifiedError | None:
    """Return what to change in the request, None if the error does not say."""
    if "temperature" in sent and "temperature" in error.param:
        return ClassifiedError(ErrorKind.UNSUPPORTED, "temperature")
    if _has_system_message(sent) and "role" in error.param:
        return ClassifiedError(ErrorKind.UNSUPPORTED, SYSTEM_ROLE)
    if _limit_reached.search(error.text):
        return ClassifiedError(ErrorKind.LIMIT_REACHED)
    if _is_limit_too_high(error.text, sent):
        return ClassifiedError(ErrorKind.LIMIT_TOO_HIGH, maximum=_find_maximum(error.text, sent))
    if _is_too_long(error.text):
        return ClassifiedError(ErrorKind.TOO_LONG)
    if _has_system_message(sent) and _is_system_role_refused(error.text):
        return ClassifiedError(ErrorKind.UNSUPPORTED, SYSTEM_ROLE)
    parameters = OPTIONAL_PARAMETERS.items()
    named = (name for name, words in parameters if name in sent and words.search(error.text))
    name = next(named, "")
    return ClassifiedError(ErrorKind.UNSUPPORTED, name) if name else None


def _has_system_message(sent: Mapping[str, Any]) -> bool:
    return any(message["role"] == "system" for message in sent.get("messages", ()))


def _is_system_role_refused(text: str) -> bool:
    is_named = _system_role.search(text) and _refused.search(text)
    return bool(is_named or _allowed_roles.search(text))


def _is_limit_too_high(text: str, sent: Mapping[str, Any]) -> bool:
    """Return whether the limit for the answer alone is too high."""
    if not _answer_limit.search(text) or _input.search(text):
        return False
    is_quoted = re.search(rf"\b{_find_limit(sent)}\b", text)
    return bool(is_quoted or _excess.search(_answer_limit.sub("", text)))


def _is_too_long(text: str) -> bool:
    text = _answer_limit.sub("", text).replace("_", " ")
    is_input = _input.search(text) or re.search(r"\btokens\b", text)
    is_excess = _size.search(text) and _excess.search(text)
    return bool(_too_long.search(text) or (is_input and is_excess))


def _find_maximum(text: str, sent: Mapping[str, Any]) -> int:
    """Return the limit that the error names, or half of the limit that was sent."""
    limit = _find_limit(sent)
    numbers = map(_to_int, _numbers.findall(text))
    return max((number for number in numbers if 1 < number < limit), default=limit // 2)


def _find_limit(sent: Mapping[str, Any]) -> int:
    return int(sent.get("max_tokens") or sent.get("max_completion_tokens") or 0)


def _to_int(digits: str) -> int:
    return int(digits.replace(",", ""))
