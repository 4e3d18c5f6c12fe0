# ruff: noqa: E501 - the messages are as providers send them
"""Errors of many providers, in their own words, and what they mean."""

import json
from typing import Any

import pytest

from common.ai.provider.error_bodies import parse_error_body
from common.ai.provider.error_kinds import SYSTEM_ROLE, ErrorKind, classify, find_status
from common.ai.provider.finish_reasons import classify_finish
from common.ai.provider.responses import parse_answer, parse_failure

SENT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Summarise."},
        {"role": "user", "content": "The pump failed."},
    ],
    "max_tokens": 2000,
    "temperature": 0.3,
}

TOO_LONG = [
    (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
        "tokens. Please reduce the length of the messages."
    ),
    (
        "This model's maximum context length is 4097 tokens, however you requested 5360 tokens (3360 "
        "in your prompt; 2000 for the completion)."
    ),
    (
        "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 "
        "tokens (7000 of text input, 2000 in the output)."
    ),
    "prompt is too long: 210000 tokens > 200000 maximum",
    (
        "input length and `max_tokens` exceed context limit: 199000 + 2000 > 200000, decrease input "
        "length or `max_tokens` and try again"
    ),
    "Input is too long for requested model.",
    "The input token count (6000) exceeds the maximum number of tokens allowed (4096).",
    (
        "Unable to submit request because the input token count is 1100000 but model only supports up "
        "to 1048576."
    ),
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 6000]",
    (
        "Trying to keep the first 6000 tokens when context the overflows. However, the model is loaded "
        "with context length of only 4096 tokens, which is not enough."
    ),
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "the request exceeds the available context size. try increasing the context size",
    "request (6021 tokens) exceeds the available context size (4096 tokens)",
    "input is too large to process. increase the physical batch size",
    "the input length exceeds the context length",
    "prompt too long; exceeded max context length by 1904 tokens",
    "Please reduce the length of the messages or completion.",
    (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 "
        "`inputs` tokens and 500 `max_new_tokens`"
    ),
    "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length"
    ),
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Too many input tokens. Max input tokens: 8192, request input token count: 10000",
    "Invalid request: Your request exceeded model token limit: 8192",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "The decoder prompt (length 6000) is longer than the maximum model length of 4096.",
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context "
        "length is 4096 tokens and your request has 3000 input tokens (2000 > 4096 - 3000)."
    ),
    (
        "Invalid 'messages[1].content': string too long. Expected a string with maximum length "
        "1048576, but got a string with length 2000000 instead."
    ),
    "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
    "Request too large for model",
    "Prompt \u8d85\u957f",
    "\u8f93\u5165\u957f\u5ea6\u8d85\u8fc7\u9650\u5236",
]
RATE_LIMITS_FOR_GOOD = [
    (
        "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 4000, "
        "Requested 6000. The input or output tokens must be reduced in order to run successfully."
    ),
    "Rate limit reached on tokens per min (TPM): Limit: 4,000, Requested: 6,000.",
    (
        "Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 9000, "
        "please reduce your message size and try again."
    ),
]
RATE_LIMITS = [
    (
        "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested "
        "2000. Please try again in 2s."
    ),
    "This request would exceed your organization's rate limit of 40,000 input tokens per minute.",
    "Requests to the API have exceeded token rate limit of your current pricing tier.",
    "Provider returned error",
]
SYSTEM_ROLE_REFUSALS = [
    "System role not supported",
    "system role is not supported",
    "role 'system' is not supported on this model",
    "This model does not support system messages.",
    "This model doesn't support the system prompt",
    "System messages are not allowed for this model.",
    "Developer instruction is not enabled for models/gemma-3-27b-it",
    "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "Only user and assistant roles are supported!",
    "Only user, assistant and tool roles are supported, got system.",
    'Jinja Exception: {"message": "System role not supported"}',
    'Error rendering prompt with jinja template: "System role not supported".',
    'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter.',
    "messages.0.role: Input should be 'user' or 'assistant'",
    "invalid role: system",
    "unknown role 'system'",
    "\u6a21\u578b\u4e0d\u652f\u6301\u7684 message role: system",
    "message role is 'system', not one of ['assistant', 'user']",
]
TEMPERATURE_REFUSALS = [
    "`temperature` is deprecated for this model.",
    (
        "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) "
        "value is supported."
    ),
    "Unsupported parameter: 'temperature' is not supported with this model.",
    "Unrecognized request argument supplied: temperature",
    "`temperature` and `top_p` cannot both be specified for this model.",
    "temperature: range: 0..0.2",
    "invalid temperature: only 1 is allowed for this model",
    "temperature must be 1 when thinking is enabled",
    "litellm.UnsupportedParamsError: openai does not support parameters: ['temperature']",
    "Sampling parameters are not supported by this model",
]
LIMITS_TOO_HIGH = {
    "max_tokens is too large: 2000. This model supports at most 1024 completion tokens, whereas "
    "you provided 2000.": 1024,
    "max_tokens: 2000 > 1024, which is the maximum allowed number of output tokens for "
    "claude-3-5-sonnet-20241022": 1024,
    "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 1500]": 1500,
    "`max_tokens` must be less than or equal to `1,024`, the maximum value for `max_tokens` is "
    "less than the `context_window` for this model": 1024,
    "it has a maxOutputTokens value of 2000 but the supported range is from 1 to 1025": 1025,
    "Invalid max_tokens value, the valid range of max_tokens is [1, 1024]": 1024,
    "max_tokens is too high": 1000,
    "The model generates at most 512 output tokens": 512,
}
LIMIT_REFUSALS = [
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead."
    ),
    "Unrecognized request argument supplied: max_tokens",
    "max_tokens is deprecated",
    "unknown field `max_tokens`",
]
DECLINED: list[Any] = [
    {"code": "content_filter", "message": "The response was filtered"},
    {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
     "management policy.", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
    {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."},
    {"message": "Content Exists Risk", "type": "invalid_request_error"},
    {"message": "Output blocked by content filtering policy"},
    {"message": "The request was rejected because it was considered high risk"},
    {"code": "content_policy_violation", "message": "Your request was rejected by the system."},
    {"code": 403, "message": "The model requires moderation. Your input was flagged"},
    {"message": "Content violates usage guidelines."},
    {"status": "PROHIBITED_CONTENT", "message": "Blocked."},
]  # fmt: skip


def wrap(message: str) -> list[Any]:
    """Return the forms in which providers send a message."""
    return [
        {"error": {"message": message, "type": "invalid_request_error", "code": None}},
        {"error": message},
        [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}],
        {"detail": message},
        {"object": "error", "message": message, "type": "BadRequestError", "code": 400},
        {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps(
            {"error": {"message": message}})}}},
        message,
    ]  # fmt: skip


def understand(status: int, value: Any, sent: dict[str, Any] = SENT) -> Any:
    content = value if isinstance(value, str) else json.dumps(value)
    return classify(status, parse_error_body(content.encode()), sent)


@pytest.mark.parametrize(
    ("kind", "unsupported", "status", "messages"),
    [
        (ErrorKind.TOO_LONG, "", 400, TOO_LONG),
        (ErrorKind.TOO_LONG, "", 429, RATE_LIMITS_FOR_GOOD),
        (ErrorKind.RATE_LIMIT, "", 429, RATE_LIMITS),
        (ErrorKind.UNSUPPORTED, SYSTEM_ROLE, 400, SYSTEM_ROLE_REFUSALS),
        (ErrorKind.UNSUPPORTED, "temperature", 400, TEMPERATURE_REFUSALS),
        (ErrorKind.UNSUPPORTED, "max_tokens", 400, LIMIT_REFUSALS),
        (ErrorKind.LIMIT_TOO_HIGH, "", 400, list(LIMITS_TOO_HIGH)),
    ],
    ids=["long", "large", "rate", "system", "temperature", "max_tokens", "limit"],
)
def test_errors_are_understood_in_every_form(
    kind: ErrorKind, unsupported: str, status: int, messages: list[str]
) -> None:
    misread = [
        (body, found)
        for message in messages
        for body in wrap(message)
        if ((found := understand(status, body)).kind, found.unsupported) != (kind, unsupported)
    ]
    assert misread == []


@pytest.mark.parametrize(("message", "maximum"), LIMITS_TOO_HIGH.items())
def test_a_lower_limit_is_read_from_the_message(message: str, maximum: int) -> None:
    assert understand(400, {"error": message}).maximum == maximum


@pytest.mark.parametrize(
    ("status", "body", "unsupported"),
    [
        (400, {"error": {"message": "Only the default (1) is supported", "param": "temperature"}},
         "temperature"),
        (422, {"detail": [{"loc": ["body", "temperature"], "msg": "Extra inputs are not permitted",
                           "input": "prompt is too long"}]}, "temperature"),
        (422, {"detail": [{"loc": ["body", "temperature"], "type": "less_than_equal",
                           "msg": "Input should be less than or equal to 0.2"}]}, "temperature"),
        (422, {"detail": [{"loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted",
                           "type": "extra_forbidden"}]}, "max_tokens"),
        (422, {"detail": [{"loc": ["body", "messages", 0, "role"], "input": "system",
                           "msg": "Input should be 'user' or 'assistant'"}]}, SYSTEM_ROLE),
        (400, {"error": {"message": "Unsupported", "param": "messages[0].role"}}, SYSTEM_ROLE),
        (500, {"error": {"code": 500, "message": "Jinja: System role not supported"}}, SYSTEM_ROLE),
    ],
)  # fmt: skip
def test_the_fields_of_an_error_tell_what_is_refused(
    status: int, body: Any, unsupported: str
) -> None:
    assert understand(status, body).unsupported == unsupported


def test_what_was_not_sent_is_not_left_out() -> None:
    bare = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    for message in (*TEMPERATURE_REFUSALS, *LIMIT_REFUSALS, "System role not supported"):
        assert understand(400, {"error": message}, bare).kind == ErrorKind.FINAL


@pytest.mark.parametrize("error", DECLINED)
def test_a_content_filter_is_final(error: Any) -> None:
    status = error.get("code") if isinstance(error.get("code"), int) else 400
    response = parse_failure(status, json.dumps({"error": error}).encode(), {}, SENT)
    assert (response.next, response.error) == (
        "refuse",
        "declined to summarise this text: its content filter refused it",
    )


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, "Incorrect API key: maximum length of the prompt", ErrorKind.FINAL),
        (402, {"error": {"message": "Prompt tokens limit exceeded: 5000 > 3000"}}, ErrorKind.FINAL),
        (404, {"error": {"message": "model not found"}}, ErrorKind.FINAL),
        (400, {"error": {"message": "It failed."}}, ErrorKind.FINAL),
        (400, {"error": {"message": "Bad JSON", "input": TOO_LONG[0]}}, ErrorKind.FINAL),
        (400, "", ErrorKind.FINAL),
        (413, "<html>Request Entity Too Large</html>", ErrorKind.TOO_LONG),
        (429, {"error": {"code": "insufficient_quota", "message": "plan"}}, ErrorKind.QUOTA),
        (429, {"error": {"type": "exceeded_current_quota_error"}}, ErrorKind.QUOTA),
        (500, {"error": {"message": "The server had an error"}}, ErrorKind.TEMPORARY),
        (503, {"error": {"message": "overloaded: too many input tokens"}}, ErrorKind.TEMPORARY),
        (529, {"error": {"type": "overloaded_error"}}, ErrorKind.TEMPORARY),
        (400, {"error": {"message": "Could not finish the message because max_tokens or model "
                         "output limit was reached. Please try again with higher max_tokens."}},
         ErrorKind.LIMIT_REACHED),
    ],
)  # fmt: skip
def test_other_errors_are_understood(status: int, body: Any, kind: ErrorKind) -> None:
    assert understand(status, body).kind == kind


@pytest.mark.parametrize(
    ("error", "status", "next_step"),
    [
        ({"code": 402, "message": "Insufficient credits"}, 402, "refuse"),
        ({"code": 401, "message": "User not found"}, 401, "refuse"),
        ({"code": "401", "message": "No auth credentials"}, 401, "refuse"),
        ({"code": 429, "message": "Rate limited upstream"}, 429, "retry"),
        ({"code": "rate_limit_exceeded", "message": "Slow down"}, 429, "retry"),
        ({"status": "RESOURCE_EXHAUSTED", "message": "Later"}, 429, "retry"),
        ({"code": 502, "message": "Upstream idle timeout"}, 502, "retry"),
        ({"type": "overloaded_error", "message": "Overloaded"}, None, "retry"),
        ({"message": "Something broke"}, None, "retry"),
        ("Something broke", None, "retry"),
        ({"code": 403, "message": "Your input was flagged"}, 403, "refuse"),
        ({"code": 400, "message": TOO_LONG[0]}, 400, "shorten"),
        ({"type": "invalid_request_error", "message": TOO_LONG[3]}, 400, "shorten"),
        ({"type": "insufficient_balance", "message": "Recharge"}, 402, "refuse"),
    ],
)
def test_an_error_in_a_200_means_what_its_code_says(
    error: Any, status: int | None, next_step: str
) -> None:
    forms = [{"error": error, "user_id": "u"}, [{"error": error}], {"choices": [{"error": error}]}]
    if isinstance(error, dict):
        forms.append(error)
    for payload in forms:
        response = parse_answer(json.dumps(payload).encode(), 200, {}, SENT)
        assert (response.status, response.next) == (status, next_step), payload


def test_an_answer_beside_an_empty_error_is_an_answer() -> None:
    choice = {"message": {"content": "It failed."}, "finish_reason": "stop", "error": None}
    for extra in ({"error": None}, {"error": {}}, {"message": ""}, {"detail": None}):
        content = json.dumps({"choices": [choice], **extra}).encode()
        assert parse_answer(content, 200, {}, SENT).text == "It failed."


def test_only_identifiers_of_an_error_are_kept() -> None:
    error = parse_error_body(
        json.dumps({"error": {"code": "sk-local-1", "type": "The pump failed", "param": "a b"}})
        .encode()
    )  # fmt: skip
    assert (error.code, error.param) == ("", "")
    error = parse_error_body(
        b'{"error": {"code": "unsupported_value", "param": "messages[0].role"}}'
    )
    assert (error.code, error.param) == ("unsupported_value", "messages[0].role")


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"[[[1]]]", b"\xff\xfe", b"{" * 9999])
def test_any_bytes_can_be_an_error(content: bytes) -> None:
    error = parse_error_body(content)
    assert (error.status, error.code, find_status(error)) == (None, "", None)


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        ("complete", ["stop", "STOP", "end_turn", "eos", "eos_token", "COMPLETE", "stop_sequence",
                      "FinishReason.STOP", "FINISH_REASON_STOP", "", None, 3, "EndOfTurn"]),
        ("cut", ["length", "LENGTH", "max_tokens", "MAX_TOKENS", "MaxTokens", "model_length",
                 "incomplete", "FinishReason.MAX_TOKENS", "max-tokens", "token_limit",
                 "max_output_tokens", "model_context_window_exceeded", "truncated", "ERROR_LIMIT"]),
        ("declined", ["content_filter", "content-filter", "ContentFilter", "SAFETY", "RECITATION",
                      "content_filter: PROHIBITED_CONTENT", "refusal", "PROHIBITED_CONTENT",
                      "BLOCKLIST", "SPII", "content_filtered", "guardrail_intervened",
                      "sensitive", "ERROR_TOXIC", "blocked"]),
        ("failed", ["error", "ERROR", "abort", "cancelled", "timeout", "network_error", "OTHER",
                    "insufficient_system_resource", "MALFORMED_RESPONSE", "unknown"]),
    ],
)  # fmt: skip
def test_finish_reasons_are_understood_in_every_spelling(kind: str, reasons: list[Any]) -> None:
    assert {reason: classify_finish(reason) for reason in reasons} == dict.fromkeys(reasons, kind)
