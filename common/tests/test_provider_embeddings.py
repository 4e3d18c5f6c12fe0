"""Embeddings by an OpenAI-compatible server: what is accepted, retried and refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from common.ai.embeddings import ProviderUnavailable, TextRefused
from common.ai.embeddings.provider import ProviderEmbedder
from common.ai.provider.options import Endpoint
from common.ai.provider.vectors import parse_vectors
from common.ai.types import CallRecord, CostEstimate, Price

PRICES = {"embed-1": Price(Decimal(2), Decimal(0), Decimal(2))}


class Calls:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.estimates: list[CostEstimate] = []
        self.records: list[CallRecord] = []

    def begin(self, *, model: str, attempt: int, estimate: CostEstimate) -> object:
        self.estimates.append(estimate)
        return len(self.estimates)

    def end(self, handle: object, call: CallRecord) -> None:
        self.records.append(call)


@pytest.fixture
def embedder(httpserver: HTTPServer) -> ProviderEmbedder:
    endpoint = Endpoint("secret", httpserver.url_for("/v1"), timeout=1.0)
    return ProviderEmbedder(
        model="embed-1", endpoint=endpoint, attempts=2, prices=PRICES, wait_initial=0.01
    )


def answer(*vectors: Any, **more: Any) -> dict[str, Any]:
    return {"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)], **more}


def test_vectors_have_the_length_1_and_the_order_of_the_texts(
    httpserver: HTTPServer, embedder: ProviderEmbedder
) -> None:
    data = answer([3, 4], [0, 2])
    data["data"].reverse()
    httpserver.expect_request("/v1/embeddings").respond_with_json(data)
    assert embedder.embed(["a", "b"]) == [[0.6, 0.8], [0.0, 1.0]]
    [(request, _)] = httpserver.log
    sent = json.loads(request.data)
    assert sent == {"model": "embed-1", "input": ["a", "b"], "encoding_format": "float"}
    assert request.headers["Authorization"] == "Bearer secret"


def test_many_texts_are_sent_in_batches(httpserver: HTTPServer, embedder: ProviderEmbedder) -> None:
    def respond(request: Request) -> Response:
        texts = json.loads(request.data)["input"]
        vectors = [[1, int(text)] for text in texts]
        return Response(json.dumps(answer(*vectors)), content_type="application/json")

    httpserver.expect_request("/v1/embeddings").respond_with_handler(respond)
    vectors = embedder.embed([str(number) for number in range(70)])
    assert [round(y / x) for x, y in vectors] == list(range(70))
    assert [len(json.loads(r.data)["input"]) for r, _ in httpserver.log] == [32, 32, 6]


def test_each_request_is_recorded_with_its_cost(
    httpserver: HTTPServer, embedder: ProviderEmbedder
) -> None:
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    httpserver.expect_ordered_request("/v1/embeddings").respond_with_data("busy", status=503)
    httpserver.expect_ordered_request("/v1/embeddings").respond_with_json(answer([1], usage=usage))
    calls = Calls()
    embedder.embed(["a few words"], recorder=calls)
    assert [(call.outcome, call.status, call.attempt) for call in calls.records] == [
        ("error", 503, 1),
        ("ok", 200, 2),
    ]
    assert calls.records[1].prompt_tokens == 5
    assert calls.records[1].cost_usd == Decimal("0.00001")
    assert calls.estimates[1].prompt_tokens >= 5


@pytest.mark.parametrize(
    "data",
    [
        answer([1, 2]),
        answer([1, 2], [1, 2, 3]),
        answer([1, 2], [0, 0]),
        answer([1, 2], []),
        answer([1, 2], None),
        answer([1, 2], ["1", "2"]),
        answer([1, 2], [True, False]),
        answer([1, 2], [1, float("nan")]),
        answer([1, 2], [1, float("inf")]),
        answer([1, 2], [10**400, 1]),
        answer([1, 2], "base64"),
        {"data": "none"},
        {"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]},
        {},
        [],
        "html",
    ],
    ids=str,
)
def test_answers_without_usable_vectors_are_invalid(data: Any) -> None:
    response = parse_vectors(json.dumps(data).encode(), 200, {}, {"input": ["a", "b"]})
    assert (response.outcome, response.next, response.vectors) == ("invalid", "retry", ())


def test_an_invalid_answer_is_requested_again(
    httpserver: HTTPServer, embedder: ProviderEmbedder
) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_json(answer([1, 2]))
    with pytest.raises(ProviderUnavailable, match="the provider sent another number of vectors"):
        embedder.embed(["a", "b"])
    assert len(httpserver.log) == 2


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": {"message": "Your input has more than 512 tokens"}}, TextRefused),
        (413, {}, TextRefused),
        (400, {"error": {"message": "input is invalid"}}, TextRefused),
        (401, {"error": {"message": "bad key"}}, ProviderUnavailable),
        (404, {"error": {"message": "no such model"}}, ProviderUnavailable),
        (429, {"error": {"message": "slow down"}}, ProviderUnavailable),
        (500, {}, ProviderUnavailable),
    ],
)  # fmt: skip
def test_errors_tell_a_refused_text_from_an_unavailable_provider(
    httpserver: HTTPServer,
    embedder: ProviderEmbedder,
    status: int,
    body: Any,
    error: type[Exception],
) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_json(body, status=status)
    with pytest.raises(error, match="the provider") as raised:
        embedder.embed(["a secret text"])
    assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_is_unavailable(embedder: ProviderEmbedder) -> None:
    lost = ProviderEmbedder(
        model="embed-1", endpoint=Endpoint("none", "http://127.0.0.1:9/v1", 1.0), attempts=1
    )
    with pytest.raises(ProviderUnavailable, match="could not be reached"):
        lost.embed(["a"])
