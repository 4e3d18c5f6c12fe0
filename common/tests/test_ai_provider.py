"""The summariser that uses a provider, against a local server that fails as a test wants."""

import asyncio
import gzip
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate

import pytest
from django.conf import settings as settings_for_django

from common import ai
from common.ai.provider.summarizer import OpenAISummarizer
from common.ai.types import (
    CallRecord,
    CostEstimate,
    Price,
    ProviderUnavailable,
    SummaryRefused,
    SummaryRequest,
    Usage,
    compute_cost,
    find_price,
)
from common.retry_after import parse_retry_after
from common.tests.support import eventually
from common.tests.support.ai_provider import (
    FakeProvider,
    answer,
    count_usage,
    cut_off,
    fail,
    garbage,
    hang_up,
    no_choices,
    no_content,
    no_usage,
    rate_limited,
    refusal,
    refuse_parameter,
    send_byte_by_byte,
    server_error,
    slow,
    truncated,
)

pytestmark = pytest.mark.slow

KEY = "sk-local-Zq81"
TEXT = "Ada asked for tea. Bob brought some. They drank it in the garden at noon."


@dataclass
class MemoryRecorder:
    """A recorder that checks the thread in which it is called."""

    thread: int = field(default_factory=threading.get_ident)
    begun: list[tuple[str, int]] = field(default_factory=list)
    estimates: list[CostEstimate] = field(default_factory=list)
    ended: list[CallRecord] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def begin(self, *, model, attempt, estimate):
        self.check()
        self.begun.append((model, attempt))
        self.estimates.append(estimate)
        return len(self.begun)

    def end(self, handle, call):
        self.check()
        assert handle <= len(self.begun)
        self.ended.append(call)

    def find_notes(self, key):
        self.check()
        return self.notes.get(key)

    def save_notes(self, key, notes):
        self.check()
        assert key not in self.notes
        self.notes[key] = notes

    def check(self):
        assert threading.get_ident() == self.thread
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()

    @property
    def outcomes(self):
        return [call.outcome for call in self.ended]


@pytest.fixture
def provider():
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def recorder():
    return MemoryRecorder()


def summarizer(provider, **options):
    options.setdefault("base_url", provider and provider.url)
    quick = {"wait_initial": 0.02, "wait_jitter": 0.01, "model": "gpt-local", "api_key": KEY}
    return OpenAISummarizer(**{**quick, **options})


def long_text(parts=30):
    """Paragraphs of about 100 words, each with a fact of its own."""
    filler = "The committee listened to the report and thanked its author for the work. " * 7
    return "".join(f"Fact number {n:04} is here. {filler}\n\n" for n in range(parts))


# One request


def test_a_text_becomes_a_summary(provider, recorder):
    provider.then(answer("Tea was had."))
    steps = []
    result = summarizer(provider, temperature=0.3).summarize(
        SummaryRequest(TEXT, language="German", max_words=40),
        recorder=recorder,
        progress=lambda done, total: steps.append((done, total)),
    )
    (request,) = provider.requests
    assert (result.text, result.model, result.calls, result.omitted) == (
        "Tea was had.", "gpt-local", 1, "",
    )  # fmt: skip
    assert request.document == TEXT
    assert "at most 40 words" in request.system
    assert "in this language: German" in request.system
    assert (request.body["max_tokens"], request.body["temperature"]) == (500, 0.3)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert steps == [(1, 1)]
    assert recorder.begun == [("gpt-local", 1)]
    assert recorder.outcomes == ["ok"]
    assert recorder.ended[0].status == 200


def test_an_answer_with_too_many_words_is_cut_and_reported_as_cut(provider):
    provider.then(answer("We had tea. It was good. Bob left."))
    result = summarizer(provider).summarize(SummaryRequest(TEXT, max_words=6))
    assert result.text == "We had tea. It was good."
    assert "longer than 6 words" in result.omitted


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00"])
def test_an_empty_text_is_refused_without_a_request(provider, text):
    with pytest.raises(SummaryRefused, match="no text"):
        summarizer(provider).summarize(SummaryRequest(text))
    assert provider.requests == []


@pytest.mark.parametrize("text", ["a\ud800b", "שלום עולם", "👍🏽" * 50, "x" * 9000, "\x00a"])
def test_unusual_characters_can_be_sent(provider, text):
    assert summarizer(provider).summarize(SummaryRequest(text)).calls == 1


def test_the_result_has_the_sums_of_all_calls(provider, recorder):
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 150},
    }
    provider.then(server_error(), answer("Tea.", usage=usage))
    price = Price(prompt=Decimal("2.5"), cached=Decimal("1.25"), completion=Decimal("10"))
    result = summarizer(provider, prices={"gpt-local": price}).summarize(
        SummaryRequest(TEXT), recorder=recorder
    )
    assert result.cost_usd == Decimal("0.00375") == sum(call.cost_usd for call in recorder.ended)
    assert (result.prompt_tokens, result.completion_tokens) == (1000, 200)
    assert (result.cached_tokens, result.reasoning_tokens, result.calls) == (600, 150, 2)


def test_a_price_is_that_of_the_model_and_of_its_dated_snapshots_only():
    cheap, dear, newer = (Price(Decimal(p), Decimal(p), Decimal(p)) for p in (1, 9, 5))
    prices = {"gpt-4o": dear, "gpt-4o-mini": cheap, "gpt-4o-2024-05-13": newer}

    def cost(model):
        return compute_cost(Usage(prompt=1_000_000), model, prices)

    assert (cost("gpt-4o"), cost("gpt-4o-2024-08-06"), cost("gpt-4o-2024-05-13")) == (9, 9, 5)
    assert (cost("gpt-4o-mini"), cost("gpt-4o-mini-2024-07-18")) == (1, 1)
    for other in (
        "gpt-4o-audio-preview", "gpt-4o-audio-preview-2024-10-01", "gpt-4o-2024", "gpt-4o-latest",
        "gpt-4", "openai/gpt-4o", "ft:gpt-4o-mini-2024-07-18:acme::x", "GPT-4o", "llama", "",
    ):  # fmt: skip
        assert cost(other) is None


def test_new_models_have_their_own_prices_or_none():
    prices = settings_for_django.OPENAI["prices"]
    assert find_price("gpt-5-pro", prices).completion == 120
    assert find_price("gpt-5.4", prices).prompt == Decimal("2.5")
    for name in ("gpt-4o-audio-preview", "gpt-5-codex-max", "gpt-5.4-pro", "gpt-5-search-api"):
        assert find_price(name, prices) is None


def test_the_cost_of_a_model_without_a_price_is_unknown(provider, recorder):
    provider.then(server_error(), answer("Tea."))
    result = summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert result.cost_usd is None
    assert {call.cost_usd for call in recorder.ended} == {None}
    assert {estimate.cost_usd for estimate in recorder.estimates} == {None}


@pytest.mark.parametrize(("model", "logged"), [("llama", 1), ("gpt-4o-2024-08-06", 0)])
def test_a_model_without_a_price_is_logged_at_start(settings, caplog, model, logged):
    settings.OPENAI = settings.OPENAI | {"api_key": KEY, "model": model}
    ai.summarizer.cache_clear()
    assert ai.summarizer().model == model
    ai.summarizer.cache_clear()
    assert caplog.text.count("model_without_price") == logged


@pytest.mark.parametrize(
    "usage",
    [
        None,
        "lots",
        [],
        {"prompt_tokens": -5, "completion_tokens": "many"},
        {"prompt_tokens": 10**30, "completion_tokens": 1e308},
        {"prompt_tokens": True, "completion_tokens": None, "prompt_tokens_details": "none"},
    ],
)
def test_absurd_usage_is_replaced_by_an_estimate(provider, usage):
    provider.then(answer("Tea was had.", usage=usage))
    result = summarizer(provider).summarize(SummaryRequest(TEXT))
    assert 100 < result.prompt_tokens < 1000
    assert 3 <= result.completion_tokens < 20
    assert result.cached_tokens == result.reasoning_tokens == 0


# Estimates of the cost


@pytest.mark.parametrize(
    "failure",
    [cut_off(), hang_up(), garbage(), garbage(b" " * 6_000_000), no_usage(), slow(1)],
    ids=["cut_off", "hang_up", "not_json", "too_large", "no_usage", "timeout"],
)
def test_a_sent_request_without_usage_counts_by_its_estimate(provider, recorder, failure):
    provider.then(failure)
    price = Price(prompt=Decimal(1), cached=Decimal(1), completion=Decimal(2))
    with suppress(ProviderUnavailable):
        summarizer(provider, prices={"gpt-local": price}, timeout=0.4).summarize(
            SummaryRequest(TEXT), recorder=recorder
        )
    call, estimate = recorder.ended[0], recorder.estimates[0]
    assert call.is_estimate
    assert (call.prompt_tokens, call.completion_tokens, call.cost_usd) == (0, 0, 0)
    assert estimate.completion_tokens == 500
    assert estimate.cost_usd == Decimal(estimate.prompt_tokens + 1000) / 1_000_000


@pytest.mark.parametrize("response", [answer("Tea."), server_error(), rate_limited(), refusal()])
def test_a_response_with_known_cost_is_no_estimate(provider, recorder, response):
    provider.then(response)
    with suppress(SummaryRefused):
        summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert not any(call.is_estimate for call in recorder.ended)


def test_estimates_are_never_below_the_usage_of_the_provider(provider, recorder):
    summarizer(provider, context_tokens=4000).summarize(
        SummaryRequest(long_text()), recorder=recorder
    )
    assert len(recorder.ended) > 4
    for call, estimate in zip(recorder.ended, recorder.estimates, strict=True):
        assert 0 < call.prompt_tokens <= estimate.prompt_tokens
        assert 0 < call.completion_tokens <= estimate.completion_tokens


# Temporary failures


@pytest.mark.parametrize(
    ("failure", "outcome", "status"),
    [
        (server_error(500), "error", 500),
        (server_error(503), "error", 503),
        (rate_limited(), "rate_limited", 429),
        (rate_limited("soon"), "rate_limited", 429),
        (cut_off(), "invalid", None),
        (hang_up(), "invalid", None),
        (garbage(), "invalid", 200),
        (garbage(b""), "invalid", 200),
        (garbage(b"[" * 100_000), "invalid", 200),
        (garbage(b"\xff\xfe"), "invalid", 200),
        (garbage(b'{"choices": [{"message": "tea"}]}'), "invalid", 200),
        (garbage(b" " * 6_000_000), "invalid", None),
        (garbage(b'{"error": {"message": "upstream failed"}}'), "error", None),
        (no_choices(), "invalid", 200),
        (no_content(), "invalid", 200),
        (answer("  \n"), "invalid", 200),
        (answer("\x00\x01\ufffd\u202e" * 50), "invalid", 200),
    ],
)
def test_a_temporary_failure_is_retried(provider, recorder, failure, outcome, status):
    provider.then(failure, answer("Tea."))
    result = summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert (result.text, result.calls) == ("Tea.", 2)
    assert recorder.outcomes == [outcome, "ok"]
    assert [call.attempt for call in recorder.ended] == [1, 2]
    assert recorder.ended[0].status == status
    assert recorder.ended[0].error.startswith("the provider ")


def test_a_list_loses_its_introduction_and_code_fences(provider):
    provider.default = answer("Here are the points:\n\n```\n* Tea was had.\n2) Cake too.\n```")
    bullets = summarizer(provider).summarize(SummaryRequest(TEXT, "bullets"))
    assert bullets.text == "- Tea was had.\n- Cake too."
    provider.default = answer("Tea was had.\n- Cake too.")
    bullets = summarizer(provider).summarize(SummaryRequest(TEXT, "bullets"))
    assert bullets.text == "- Tea was had.\n- Cake too."


def test_direction_overrides_are_removed_from_answers(provider):
    provider.default = answer("Tea \u202ewas\u202d had.")
    assert summarizer(provider).summarize(SummaryRequest(TEXT)).text == "Tea was had."


def test_requests_stop_after_the_configured_attempts(provider, recorder):
    provider.default = server_error()
    with pytest.raises(ProviderUnavailable) as caught:
        summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert str(caught.value) == "the provider answered 500 three times"
    assert caught.value.retry_after is None
    assert len(provider.requests) == len(recorder.ended) == 3


def test_the_error_names_every_reason(provider):
    provider.then(garbage(), server_error(502), garbage())
    with pytest.raises(ProviderUnavailable) as caught:
        summarizer(provider).summarize(SummaryRequest(TEXT))
    assert str(caught.value) == (
        "the provider sent an answer that is not JSON twice and answered 502"
    )


def test_a_short_retry_after_is_waited_for_in_the_worker(provider):
    provider.then(rate_limited(1))
    summarizer(provider).summarize(SummaryRequest(TEXT))
    first, second = provider.requests
    assert 1 <= second.started - first.ended < 1.5


def test_a_long_retry_after_postpones_the_job(provider, recorder):
    provider.then(rate_limited(formatdate(time.time() + 90, usegmt=True)))
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="asks for a pause of") as caught:
        summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert time.monotonic() - began < 1
    assert caught.value.retry_after == pytest.approx(90, abs=2)
    assert recorder.outcomes == ["rate_limited"]


def test_an_exhausted_quota_postpones_the_job(provider):
    provider.then(fail(429, code="insufficient_quota"))
    with pytest.raises(ProviderUnavailable, match="quota is used up"):
        summarizer(provider).summarize(SummaryRequest(TEXT))
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, 10),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:10 GMT",
                "date": "Wed, 21 Oct 2026 07:28:05 GMT",
            },
            5,
        ),
        ({"retry-after": "Wed, 21 Oct 2020 07:28:00 GMT"}, 0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "1e12"}, 86_400),
    ],
)
def test_every_form_of_retry_after_is_parsed(headers, seconds):
    assert parse_retry_after(headers, now=1792567680.0) == seconds


# Final failures, and those that postpone the job


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (fail(400), "refused the request (400)"),
        (fail(401, message=f"Incorrect API key provided: {KEY}"), "refused our key (401)"),
        (fail(403), "does not allow our key"),
        (fail(404, code="model_not_found"), "does not know the model 'gpt-local'"),
        (fail(422, message=TEXT), "refused the request (422)"),
        (fail(400, code="content_filter"), "declined to work on this text"),
        (fail(307, headers={"Location": "http://127.0.0.1:1/"}), "refused the request (307)"),
        (refusal(), "declined to work on this text"),
        (answer("", refusal="I won't."), "declined to work on this text"),
    ],
)
def test_a_refusal_is_final(provider, recorder, failure, reason):
    provider.then(failure)
    with pytest.raises(SummaryRefused) as caught:
        summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert reason in str(caught.value)
    assert recorder.outcomes == ["error"]
    assert len(provider.requests) == 1


@pytest.mark.parametrize("silence", [slow(30), send_byte_by_byte(30)])
def test_the_timeout_bounds_the_whole_request(provider, recorder, silence):
    provider.then(silence)
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"did not answer within 0\.4 seconds"):
        summarizer(provider, timeout=0.4).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert time.monotonic() - began < 1
    assert recorder.outcomes == ["timeout"]
    assert recorder.ended[0].is_estimate
    assert len(provider.requests) == 1


def test_the_timeout_bounds_the_name_look_up(recorder, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(2))
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        summarizer(None, base_url="http://provider.test/v1", timeout=0.3).summarize(
            SummaryRequest(TEXT), recorder=recorder
        )
    assert time.monotonic() - began < 1.5
    assert recorder.outcomes == ["timeout"]


def test_a_refused_connection_costs_nothing(recorder):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(ProviderUnavailable, match="could not be reached three times"):
            summarizer(None, base_url=url).summarize(SummaryRequest(TEXT), recorder=recorder)
    assert recorder.outcomes == ["error"] * 3
    assert not any(call.is_estimate for call in recorder.ended)


def test_a_connection_that_is_never_accepted_costs_nothing(recorder, monkeypatch):
    monkeypatch.setattr("common.ai.provider.client.CONNECT_TIMEOUT_S", 0.3)
    busy = socket.create_server(("127.0.0.1", 0), backlog=0)
    shared = summarizer(None, base_url=f"http://127.0.0.1:{busy.getsockname()[1]}/v1")
    with (
        busy,
        socket.create_connection(busy.getsockname()),  # fills the backlog
        pytest.raises(ProviderUnavailable, match="could not be reached in time"),
    ):
        shared.summarize(SummaryRequest(TEXT), recorder=recorder)
    assert recorder.outcomes == ["timeout"]
    assert not recorder.ended[0].is_estimate


@pytest.mark.parametrize("wrong", [{"api_key": "sk-é"}, {"api_key": "sk-\nb"}, {"base_url": "tea"}])
def test_malformed_settings_are_reported_without_their_values(provider, wrong):
    with pytest.raises(SummaryRefused, match="its address or key is malformed") as caught:
        summarizer(provider, **wrong).summarize(SummaryRequest(TEXT))
    assert "sk-" not in "".join(traceback.format_exception(caught.value))


def test_a_query_in_the_address_is_sent_with_each_request(provider):
    requests = []

    def remember(exchange):
        requests.append((exchange.handler.path, exchange.headers.get("api-key")))
        answer("Tea was had.")(exchange)

    provider.then(remember, remember)
    for query in ("?api-version=2024-10-21&tier=1", ""):
        summarizer(provider, base_url=provider.url + query).summarize(SummaryRequest(TEXT))
    # Azure reads the key from its own header.
    assert requests == [
        ("/v1/chat/completions?api-version=2024-10-21&tier=1", KEY),
        ("/v1/chat/completions", None),
    ]


def test_a_decompression_bomb_is_not_unpacked(provider):
    flood = gzip.compress(b" " * 100_000_000)
    provider.default = lambda exchange: exchange.send(200, flood, {"Content-Encoding": "gzip"})
    with pytest.raises(ProviderUnavailable, match="sent a response that is too large three times"):
        summarizer(provider).summarize(SummaryRequest(TEXT))


@pytest.mark.parametrize(
    "failure",
    [
        fail(500, message=f"{KEY} {TEXT}"),
        fail(401, message=f"{KEY} {TEXT}"),
        fail(400, message=f"{KEY} {TEXT}"),
        garbage(f"{KEY} {TEXT}".encode()),
        refusal(),
        hang_up(),
    ],
)
def test_errors_and_logs_contain_neither_key_nor_text(provider, recorder, failure, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    provider.default = failure
    with pytest.raises((SummaryRefused, ProviderUnavailable)) as caught:
        summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)
    output = [*traceback.format_exception(caught.value), caplog.text, *capsys.readouterr()]
    output += [repr(recorder.ended), repr(caught.value.__context__)]
    assert "Ada asked" in provider.requests[0].document  # so the text could have leaked
    assert KEY not in "".join(output)
    assert "Ada" not in "".join(output)


# Limits and parameters of models


def test_unsupported_parameters_are_left_out_from_then_on(provider, recorder):
    provider.then(refuse_parameter("max_tokens"), refuse_parameter("temperature"))
    shared = summarizer(provider, temperature=0.3)
    shared.summarize(SummaryRequest(TEXT), recorder=recorder)
    shared.summarize(SummaryRequest(TEXT))
    bodies = [set(r.body) - {"model", "messages"} for r in provider.requests]
    assert bodies == [
        {"max_tokens", "temperature"},
        {"max_completion_tokens", "temperature"},
        {"max_completion_tokens"},
        {"max_completion_tokens"},
    ]
    assert [call.attempt for call in recorder.ended] == [1, 2, 3]


def test_a_truncated_answer_is_requested_again_with_a_higher_limit(provider):
    provider.then(truncated("Tea was had. Th"), answer("Tea was had. There was cake."))
    result = summarizer(provider).summarize(SummaryRequest(TEXT))
    assert [r.body["max_tokens"] for r in provider.requests] == [500, 2000]
    assert (result.text, result.omitted) == ("Tea was had. There was cake.", "")


def test_an_answer_truncated_twice_is_reported_as_truncated(provider):
    provider.default = truncated("Tea was had. There was ca")
    result = summarizer(provider).summarize(SummaryRequest(TEXT))
    assert result.text == "Tea was had."
    assert result.omitted == "the end of the answer, which was cut off at the token limit"


def test_a_model_that_only_reasons_fails_for_good(provider):
    provider.default = truncated("<think>Tea, hm")
    with pytest.raises(SummaryRefused, match="used up its tokens"):
        summarizer(provider).summarize(SummaryRequest(TEXT))


def test_a_long_summary_uses_the_higher_limit_at_once(provider):
    summarizer(provider).summarize(SummaryRequest(TEXT, max_words=600))
    assert provider.requests[0].body["max_tokens"] == 2000


def test_a_context_without_room_for_a_text_is_refused():
    with pytest.raises(ValueError, match="context_tokens"):
        summarizer(None, base_url="http://127.0.0.1:1", context_tokens=1200, max_tokens=500)


# Long texts


def test_every_fact_of_300_pages_reaches_the_model(provider, recorder):
    text, steps = long_text(1500), []
    provider.default = slow(0.03)
    result = summarizer(provider).summarize(
        SummaryRequest(text), recorder=recorder, progress=lambda *step: steps.append(step)
    )
    parts = [r for r in provider.requests if "Write dense notes" in r.system]
    # Parallel requests can arrive in any order.
    parts.sort(key=lambda r: int(re.search(r"part (\d+) of", r.system)[1]))
    seen = "".join(r.document for r in parts)
    assert len(text) > 700_000
    assert all(f"Fact number {n:04} is here." in seen for n in range(1500))
    assert all(r.document.endswith("\n\n") for r in parts[:-1])
    assert "notes on all parts of a longer one" in provider.requests[-1].system
    assert steps == [(n, len(steps)) for n in range(1, len(steps) + 1)]
    assert result.calls == len(provider.requests) == len(recorder.ended)
    assert result.prompt_tokens == provider.tokens("prompt_tokens")
    assert result.completion_tokens == provider.tokens("completion_tokens")
    assert 1 < provider.max_parallel_requests <= 4


@pytest.mark.parametrize(
    "text",
    [long_text(300), " ".join(f"Mr. Kay had {n} ideas." for n in range(4000)), "漢字。" * 9000],
    ids=["paragraphs", "sentences", "chinese"],
)
def test_the_parts_together_are_the_whole_text(provider, text):
    provider.default = answer("A note.")
    summarizer(provider, context_tokens=4000).summarize(SummaryRequest(text))
    parts = {
        int(found[1]): request.document
        for request in provider.requests
        if (found := re.search(r"is part (\d+) of", request.system))
    }
    assert len(parts) > 3
    assert "".join(parts[number] for number in sorted(parts)) == text.strip()


def test_notes_keep_the_order_of_the_parts(provider):
    def behave(exchange):
        exchange.sleep(0.3 if "part 1 of" in exchange.system else 0)
        first = exchange.document.split(" is here.")[0]
        answer(first if "Write dense notes" in exchange.system else "Done.")(exchange)

    provider.default = behave
    summarizer(provider, context_tokens=4000).summarize(SummaryRequest(long_text()))
    notes = provider.requests[-1].document.split("\n\n")
    assert len(notes) > 4
    assert notes == sorted(notes)


def test_long_notes_are_summarised_in_another_round(provider):
    provider.default = answer("Notes that go on. " * 40)
    steps = []
    result = summarizer(provider, context_tokens=2500).summarize(
        SummaryRequest(long_text()), progress=lambda *step: steps.append(step)
    )
    assert steps[-1][0] == steps[-1][1] == len(provider.requests)
    assert steps[0][1] < steps[-1][1]
    assert re.match(r"the end of the notes on \d+ of \d+ parts", result.omitted)


@pytest.mark.parametrize("context", [2050, 4000])
@pytest.mark.parametrize("text", [long_text(), "x" * 50_000, "\u0301" * 9000, "a. " * 9000])
def test_the_rounds_end_even_if_a_model_repeats_its_input(provider, context, text):
    provider.default = lambda exchange: answer(exchange.document)(exchange)
    result = summarizer(provider, context_tokens=context).summarize(SummaryRequest(text))
    assert len(result.text.split()) <= 80
    assert "the notes on" in result.omitted
    assert len(provider.requests) < 250


def test_shorter_parts_are_tried_when_the_context_is_smaller_than_configured(provider):
    def behave(exchange):
        if len(exchange.document) > 9000:
            fail(400, code="context_length_exceeded")(exchange)
        else:
            answer()(exchange)

    provider.default = behave
    result = summarizer(provider).summarize(SummaryRequest(long_text(40)))
    assert result.text
    assert any(r.status == 200 for r in provider.requests)


def test_the_first_failed_part_ends_all_other_requests(provider, recorder):
    def behave(exchange):
        (fail(401) if "part 2 of" in exchange.system else slow(20))(exchange)

    provider.default = behave
    began = time.monotonic()
    with pytest.raises(SummaryRefused, match="401"):
        summarizer(provider, context_tokens=4000).summarize(
            SummaryRequest(long_text()), recorder=recorder
        )
    assert time.monotonic() - began < 2
    assert len(provider.requests) <= 4
    assert len(recorder.begun) == len(recorder.ended)
    assert sum("given up" in call.error for call in recorder.ended) == len(recorder.ended) - 1


def test_another_run_requests_only_the_missing_parts(provider, recorder):
    shared = summarizer(provider, context_tokens=4000, concurrency=1)
    request, steps = SummaryRequest(long_text()), []
    shared.summarize(request)
    *parts, final = provider.requests
    provider.requests.clear()
    provider.then(answer(), answer(), fail(401))
    with pytest.raises(SummaryRefused, match="401"):
        shared.summarize(request, recorder=recorder)
    known = len(recorder.notes)
    assert known == 2 < len(parts)
    provider.requests.clear()
    again = shared.summarize(request, recorder=recorder, progress=lambda *step: steps.append(step))
    assert len(provider.requests) == again.calls == len(parts) - known + 1
    assert provider.requests[-1].document == final.document
    assert steps == [(n, len(parts) + 1) for n in range(1, len(parts) + 2)]


def test_truncated_notes_are_not_saved(provider, recorder):
    provider.default = truncated("The committee listened.")
    result = summarizer(provider, context_tokens=4000).summarize(
        SummaryRequest(long_text()), recorder=recorder
    )
    assert "the notes on" in result.omitted
    assert recorder.notes == {}


def test_a_rate_limit_of_one_part_pauses_all_parts(provider):
    provider.then(rate_limited(1))
    summarizer(provider, context_tokens=4000, concurrency=2).summarize(SummaryRequest(long_text()))
    limited = provider.requests[0].ended
    sent = [r.started - limited for r in provider.requests if r.started > limited]
    assert sum(0.1 < wait < 1 for wait in sent) == 0


# Threads, processes and interruptions


def test_a_failing_recorder_ends_the_summary(provider, recorder):
    def broken(handle, call):
        raise ConnectionError("no database")

    recorder.end = broken
    with pytest.raises(ConnectionError, match="no database"):
        summarizer(provider).summarize(SummaryRequest(TEXT), recorder=recorder)


def test_no_request_is_sent_that_could_not_be_recorded(provider, recorder):
    def broken(**_):
        raise ConnectionError("no database")

    recorder.begin = broken
    with pytest.raises(ConnectionError, match="no database"):
        summarizer(provider, context_tokens=4000).summarize(
            SummaryRequest(long_text()), recorder=recorder
        )
    assert provider.requests == []


def test_a_progress_callback_that_raises_ends_the_summary(provider, recorder):
    def lost(done, total):
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="the lease is lost"):
        summarizer(provider, context_tokens=4000).summarize(
            SummaryRequest(long_text()), recorder=recorder, progress=lost
        )
    assert len(recorder.begun) == len(recorder.ended)


class TimeIsUpError(Exception):
    """What Celery raises from a signal handler at the soft time limit."""


def raise_time_is_up(number: int, frame: object) -> None:
    raise TimeIsUpError


@pytest.mark.parametrize(
    ("number", "handler", "error"),
    [
        (signal.SIGALRM, raise_time_is_up, TimeIsUpError),
        (signal.SIGINT, signal.default_int_handler, KeyboardInterrupt),
    ],
)
def test_an_interrupted_worker_closes_its_calls_as_lost(provider, recorder, number, handler, error):
    def interrupt() -> None:
        eventually(lambda: len(provider.requests) == 4, "all calls are open")
        os.kill(os.getpid(), number)

    provider.default = slow(20)
    before = signal.signal(number, handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(error):
            summarizer(provider, context_tokens=4000).summarize(
                SummaryRequest(long_text()), recorder=recorder
            )
    finally:
        thread.join()
        signal.signal(number, before)
    assert len(recorder.begun) == len(recorder.ended) == 4
    assert all("given up" in call.error for call in recorder.ended)
    assert recorder.outcomes == ["lost"] * 4
    assert all(call.is_estimate for call in recorder.ended)


def test_openai_is_imported_only_for_the_provider():
    code = (
        "import sys, django; django.setup(); import config.urls, notes.tasks, common.ai; "
        "assert 'openai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_can_share_a_summarizer(provider):
    shared, results = summarizer(provider), []

    def work(number):
        recorder = MemoryRecorder()
        text = f"Note {number}. {TEXT}"
        results.append((number, shared.summarize(SummaryRequest(text), recorder=recorder).text))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(text.startswith(f"Note {number}.") for number, text in results)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_can_use_the_summarizer_of_its_parent(provider):
    shared = summarizer(provider)
    shared.summarize(SummaryRequest(TEXT))
    child = os.fork()
    if child == 0:
        try:
            ok = shared.summarize(SummaryRequest(TEXT)).calls == 1
        except BaseException:
            ok = False
        os._exit(0 if ok else 1)
    assert shared.summarize(SummaryRequest(TEXT)).calls == 1
    assert os.waitpid(child, 0)[1] == 0


def test_the_fake_provider_counts_what_it_serves(provider):
    """Other tests rely on these counts."""
    provider.then(server_error(), answer("Tea was had."))
    summarizer(provider).summarize(SummaryRequest(TEXT))
    failed, served = provider.requests
    assert (failed.usage, failed.status) == (None, 500)
    assert served.usage == count_usage(served, "Tea was had.")
    assert provider.tokens() == served.usage["total_tokens"]
