"""What the summariser does with the answers and refusals of many providers."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.ai.provider.summarizer import OpenAISummarizer
from common.ai.types import (
    CallRecord,
    ProviderUnavailable,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
)
from common.tests.support.ai_provider import Exchange, FakeProvider, answer, fail, truncated

TEXT = "Ada asked for tea. Bob brought some. They drank it in the garden at noon."
LONG_TEXT = "The committee listened to the report and thanked its author. " * 500
GERMAN = "Die Geschäftsführung beschloss gestern die Kündigung der Verträge. " * 200
CYRILLIC = "Правление решило расторгнуть договоры. " * 300
CHINESE = "董事会决定终止供货合同。" * 500
CUT = "the end of the answer, which was cut off at the token limit"
UNREAD = "a part of the text that did not fit the model's context"


class Calls(list[CallRecord]):
    """A recorder that keeps the calls."""

    def begin(self, **_: Any) -> None:
        return None

    def end(self, handle: object, call: CallRecord) -> None:
        self.append(call)

    def find_notes(self, key: str) -> None:
        return None

    def save_notes(self, key: str, notes: str) -> None:
        return None


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def summarize(provider: FakeProvider, calls: Calls) -> Callable[..., SummaryResult]:
    summarizer = OpenAISummarizer(
        api_key="sk-local", base_url=provider.url, model="m", temperature=0.3,
        wait_initial=0.01, wait_jitter=0.01,
    )  # fmt: skip

    def run(text: str = TEXT, instructions: str = "", max_words: int = 80) -> SummaryResult:
        request = SummaryRequest(text, instructions=instructions, max_words=max_words)
        return summarizer.summarize(request, recorder=calls)

    return run


def send(status: int, payload: Any) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send_json(status, payload)


def finish(reason: str, text: str | None = "The tea was") -> Callable[[Exchange], None]:
    return answer(text or "", finish=reason)


def parameters(provider: FakeProvider) -> list[set[str]]:
    return [set(request.body) - {"model", "messages"} for request in provider.requests]


def test_a_refused_temperature_is_left_out_once_for_all_summaries(
    provider: FakeProvider, summarize: Any, calls: Calls
) -> None:
    provider.then(fail(400, message="`temperature` is deprecated for this model."))
    summarize()
    summarize()
    bare, full = {"max_tokens"}, {"max_tokens", "temperature"}
    assert parameters(provider) == [full, bare, bare]
    assert [(call.outcome, call.status) for call in calls] == [("error", 400), *[("ok", 200)] * 2]


def test_a_server_that_knows_no_limit_of_an_answer_gets_none(
    provider: FakeProvider, summarize: Any
) -> None:
    provider.then(
        fail(400, message="Unrecognized request argument supplied: max_tokens"),
        fail(422, message="Extra inputs are not permitted", param="body.max_completion_tokens"),
    )
    summarize()
    assert parameters(provider) == [
        {"max_tokens", "temperature"},
        {"max_completion_tokens", "temperature"},
        {"temperature"},
    ]


def test_a_provider_that_refuses_everything_is_asked_once_for_each_part(
    provider: FakeProvider, summarize: Any
) -> None:
    provider.default = fail(
        400, message="unsupported: temperature, max_tokens, max_completion_tokens, system role"
    )
    with pytest.raises(SummaryRefused, match="400"):
        summarize()
    assert len(provider.requests) == 5


def test_a_model_without_a_system_role_gets_one_user_message(
    provider: FakeProvider, summarize: Any
) -> None:
    provider.then(send(400, {"object": "error", "message": "System role not supported"}))
    summarize()
    summarize()
    roles = [[m["role"] for m in request.body["messages"]] for request in provider.requests]
    assert roles == [["system", "user"], ["user"], ["user"]]
    first, second, _ = (request.body["messages"] for request in provider.requests)
    assert second[0]["content"] == f"{first[0]['content']}\n\n{first[1]['content']}"


@pytest.mark.parametrize("reason", ["error", "ERROR", "abort", "network_error"])
def test_an_answer_that_failed_half_way_is_asked_for_again(
    provider: FakeProvider, summarize: Any, calls: Calls, reason: str
) -> None:
    provider.then(finish(reason, "The tea was"), answer("Tea was had."))
    assert summarize().text == "Tea was had."
    assert [call.outcome for call in calls[:2]] == ["error", "ok"]
    assert calls[0].prompt_tokens > 0
    provider.default = finish(reason)
    with pytest.raises(ProviderUnavailable, match="stopped before its answer was complete three"):
        summarize()


@pytest.mark.parametrize("reason", ["length", "MAX_TOKENS", "max_tokens", "model_length"])
def test_a_cut_answer_loses_its_unfinished_end(
    provider: FakeProvider, summarize: Any, reason: str
) -> None:
    provider.default = finish(reason, "Tea was had. The pot broke because the")
    assert (summarize().text, summarize().omitted) == ("Tea was had.", CUT)
    provider.default = finish(reason, "The pump failed on Monday and Bob replaced it because the")
    result = summarize()
    assert result.text == "The pump failed on Monday and Bob replaced it because\u2026"
    assert result.omitted == CUT


@pytest.mark.parametrize(
    "failure",
    [
        fail(400, param="max_tokens", message="max_tokens is too large: 2000. This model supports "
             "at most 1024 completion tokens, whereas you provided 2000."),
        fail(400, code="context_length_exceeded"),
        fail(400),
        fail(503),
    ],
    ids=["limit", "context", "refused", "unavailable"],
)  # fmt: skip
def test_a_paid_answer_is_kept_if_no_longer_one_can_be_had(
    provider: FakeProvider, summarize: Any, failure: Any
) -> None:
    provider.default = failure
    provider.then(truncated("Tea was had. The pot"))
    result = summarize()
    assert (result.text, result.omitted) == ("Tea was had.", CUT)


def test_a_lower_limit_is_used_for_the_first_request_and_remembered(
    provider: FakeProvider, summarize: Any
) -> None:
    provider.then(fail(400, message="max_tokens must be at most 1024"))
    summarize(max_words=600)
    summarize(max_words=600)
    assert [request.body["max_tokens"] for request in provider.requests] == [2000, 1024, 1024]


def test_a_limit_that_no_value_suits_is_refused(provider: FakeProvider, summarize: Any) -> None:
    provider.default = fail(400, message="max_tokens is too large")
    with pytest.raises(SummaryRefused, match="allows fewer tokens for an answer"):
        summarize()
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"error": "the model is loaded with context length of only 4096 tokens, not enough"}),
        (400, [{"error": {"code": 400, "message": "The input token count (6000) exceeds 4096"}}]),
        (429, {"error": {"message": "Request too large (TPM): Limit 4000, Requested 6000"}}),
        (200, {"error": {"code": 400, "message": "Input is too long for requested model."}}),
    ],
)
def test_a_text_that_is_too_long_is_sent_in_shorter_parts(
    provider: FakeProvider, summarize: Any, status: int, error: Any
) -> None:
    def behave(exchange: Exchange) -> None:
        (send(status, error) if len(exchange.document) > 9000 else answer())(exchange)

    provider.default = behave
    result = summarize(LONG_TEXT)
    assert (bool(result.text), result.omitted) == (True, "")
    assert any("part 2 of" in request.system for request in provider.requests)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (
            {"error": {"code": 402, "message": "Insufficient credits"}},
            "too little credit \\(402\\)",
        ),
        ({"error": {"code": 401, "message": "User not found."}}, "OPENAI_API_KEY is wrong"),
        ({"error": {"code": 403, "message": "Your input was flagged"}}, "declined"),
    ],
)
def test_an_error_in_a_200_is_final_after_one_call(
    provider: FakeProvider, summarize: Any, payload: Any, reason: str
) -> None:
    provider.default = send(200, payload)
    with pytest.raises(SummaryRefused, match=reason):
        summarize()
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "declined",
    [
        finish("content_filter: PROHIBITED_CONTENT", None),
        finish("SAFETY"),
        finish("content-filter"),
        finish("refusal"),
        answer("", refusal="I can't help with that."),
        fail(400, code="content_filter"),
    ],
)
def test_a_declined_text_is_final_after_one_call(
    provider: FakeProvider, summarize: Any, declined: Any
) -> None:
    provider.default = declined
    with pytest.raises(SummaryRefused, match="declined to work on this text"):
        summarize()
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "sent an empty answer three times"),
        ("<think>Hm, tea.</think>", "sent its reasoning without an answer three times"),
    ],
)
def test_answers_that_stay_empty_are_final_after_all_attempts(
    provider: FakeProvider, summarize: Any, calls: Calls, content: str, reason: str
) -> None:
    provider.default = answer(content)
    with pytest.raises(SummaryRefused, match=reason):
        summarize()
    assert len(provider.requests) == 3
    assert all(call.prompt_tokens for call in calls)


def test_parts_of_the_content_that_are_reasoning_are_left_out(
    provider: FakeProvider, summarize: Any
) -> None:
    parts = [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Tea was had."}]
    provider.default = answer(parts)
    assert summarize().text == "Tea was had."


@pytest.mark.parametrize(
    ("text", "tokens"),
    [(LONG_TEXT, 3000), (GERMAN * 2, 1500), (CHINESE, 1000), (LONG_TEXT, 4096), (CYRILLIC, 2047)],
)
def test_a_prompt_that_was_not_read_whole_is_reported(
    provider: FakeProvider, summarize: Any, text: str, tokens: int
) -> None:
    provider.default = answer("Tea was had.", usage={"prompt_tokens": tokens, "total_tokens": 1})
    assert summarize(text).omitted == UNREAD


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": 0},
        {"prompt_tokens": 1},  # the rest was in a cache
        {"prompt_tokens": 700, "prompt_tokens_details": {"cached_tokens": 5000}},
        {"prompt_tokens": 700, "cache_read_input_tokens": 5000},
        {"prompt_tokens": 10**9},
        {"prompt_tokens": "many"},
    ],
)
def test_odd_usage_is_no_sign_of_an_unread_prompt(
    provider: FakeProvider, summarize: Any, usage: Any
) -> None:
    provider.default = answer("Tea was had.", usage=usage)
    assert summarize(LONG_TEXT).omitted == ""


@pytest.mark.parametrize(
    ("text", "chars_per_token"), [(LONG_TEXT, 5.5), (GERMAN, 5.5), (CYRILLIC, 5.0), (CHINESE, 2.5)]
)
def test_the_best_tokenizer_of_a_language_raises_no_alarm(
    provider: FakeProvider, summarize: Any, text: str, chars_per_token: float
) -> None:
    tokens = round(len(text) / chars_per_token) + 200
    provider.default = answer("Tea was had.", usage={"prompt_tokens": tokens})
    assert summarize(text).omitted == ""


def test_a_refusal_is_logged_with_its_code_and_parameter_and_without_the_text(
    provider: FakeProvider, summarize: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider.default = fail(400, code="invalid_value", param="seed", message=f"No: {TEXT}")
    with pytest.raises(SummaryRefused) as caught:
        summarize()
    assert str(caught.value) == (
        "the provider refused the request (400): code invalid_value, parameter seed"
    )
    assert re.search("'error_code': 'invalid_value', 'error_param': 'seed'", caplog.text)
    assert "Ada" not in caplog.text
