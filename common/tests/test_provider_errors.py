"""Errors of many providers, in their own words, and what they mean."""

import json
from typing import Any

import pytest

from common.ai.provider.error_bodies import parse_error_body
from common.ai.provider.error_kinds import SYSTEM_ROLE, ErrorKind, classify, find_status
from common.ai.provider.finish_reasons import classify_finish
from common.ai.provider.responses import parse_answer, parse_failure
from common.tests.support.provider_errors import (
    DECLINED,
    LIMIT_REFUSALS,
    LIMITS_TOO_HIGH,
    RATE_LIMITS,
    RATE_LIMITS_FOR_GOOD,
    SYSTEM_ROLE_REFUSALS,
    TEMPERATURE_REFUSALS,
    TOO_LONG,
)

SENT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Summarise."},
        {"role": "user", "content": "The pump failed."},
    ],
    "max_tokens": 2000,
    "temperature": 0.3,
}


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
        "declined to work on this text: its content filter refused it",
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
        ({"code": "content_filter", "message": "Filtered"}, None, "refuse"),
        ({"code": "context_length_exceeded", "message": "Failed"}, None, "shorten"),
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
    for extra in ({"error": None}, {"error": {}}, {"error": {"code": None}}, {"message": ""}):
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
                      "sensitive", "ERROR_TOXIC", "blocked", "LANGUAGE"]),
        ("failed", ["error", "ERROR", "abort", "cancelled", "timeout", "network_error", "OTHER",
                    "insufficient_system_resource", "MALFORMED_RESPONSE", "unknown"]),
    ],
)  # fmt: skip
def test_finish_reasons_are_understood_in_every_spelling(kind: str, reasons: list[Any]) -> None:
    assert {reason: classify_finish(reason) for reason in reasons} == dict.fromkeys(reasons, kind)
