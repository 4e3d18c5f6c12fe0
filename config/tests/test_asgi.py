"""The ASGI application: bodies that arrive slowly, partly or not at all, and header names."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config import request_bodies, wsgi_threads
from config.wsgi_threads import MAX_STORED_BYTES, WsgiThreads

PERIOD_S, DEADLINE_S = 0.6, 2.0
NEVER = object()


@csrf_exempt
def echo(request: HttpRequest) -> HttpResponse:
    """Answer with what arrived."""
    headers = {k: v for k, v in request.META.items() if k.startswith(("HTTP_", "CONTENT_"))}
    body = request.body
    return HttpResponse(json.dumps({"headers": headers, "size": len(body), "end": str(body[-3:])}))


@csrf_exempt
def read_in_parts(request: HttpRequest) -> HttpResponse:
    """Answer with the number of bytes of a large body."""
    return HttpResponse(str(sum(len(part) for part in iter(lambda: request.read(50_000), b""))))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(b"%07d\n" % number for number in range(20_000))


LARGE, IMPORT = "/uploads/direct/1", "/api/v1/products/imports"

urlpatterns = [
    path("echo", echo),
    path("stream", stream),
    *(path(large[1:], read_in_parts) for large in (LARGE, IMPORT, IMPORT.removesuffix("s"))),
]


class Response:
    """What the application has sent."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages
        self.status = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages)

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests to the application, with bodies in parts."""

    def __init__(self, application: WsgiThreads) -> None:
        self._application = application

    async def send(
        self,
        method: str,
        target: str,
        parts: Iterable[Any] = (),
        headers: Iterable[tuple[bytes, bytes]] = (),
        query: bytes = b"",
        send: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    ) -> Response:
        messages: list[dict[str, Any]] = []

        async def keep(message: dict[str, Any]) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "query_string": query,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50_000),
            "headers": [(b"host", b"localhost"), *headers],
        }
        self.unsent_parts = list(parts)
        await self._application(scope, _receive(self.unsent_parts), send or keep)
        return Response(messages or [{"status": 0, "headers": []}])


def _receive(parts: list[Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Return ASGI's `receive`: a part of the body for each call; `NEVER` waits for ever."""

    async def receive() -> dict[str, Any]:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        if part is NEVER:
            await asyncio.Event().wait()
        if isinstance(part, tuple):
            seconds, part = part
            await asyncio.sleep(seconds)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    return receive


@pytest.fixture
def client() -> Iterator[Client]:
    with override_settings(ROOT_URLCONF=__name__):
        yield Client(
            WsgiThreads(get_wsgi_application(), threads=2, period_s=PERIOD_S, deadline_s=DEADLINE_S)
        )


def length(size: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", str(size).encode())]


CHUNKED = [(b"transfer-encoding", b"chunked")]


def test_a_body_in_parts_arrives_whole(client: Client) -> None:
    parts = [b"a" * 100_000, b"b" * 100_000, b"end"]
    response = asyncio.run(client.send("POST", "/echo", parts, length(200_003)))
    assert response.json()["size"] == 200_003
    assert response.json()["end"] == "b'end'"


def test_a_chunked_body_gets_its_length(client: Client) -> None:
    response = asyncio.run(client.send("POST", "/echo", [b"abc", b"def"], CHUNKED))
    assert response.json()["size"] == 6
    assert response.json()["headers"]["CONTENT_LENGTH"] == "6"


def test_a_chunked_body_without_end_is_refused_as_too_large(client: Client) -> None:
    parts = [b"x" * 1_000_000] * 20
    response = asyncio.run(client.send("POST", "/echo", parts, CHUNKED))
    assert (response.status, response.json()["code"]) == (413, "too_large")


def test_stalled_bodies_occupy_no_thread_and_are_refused_after_a_period(client: Client) -> None:
    async def attack() -> tuple[list[Response], Response]:
        stalled = [
            asyncio.create_task(
                client.send("POST", "/echo", [b"x" * 1_000_000, NEVER], length(9_000_000))
            )
            for _ in range(30)
        ]
        await asyncio.sleep(0)
        other = await client.send("POST", "/echo", [b"abc"], length(3))
        assert not any(task.done() for task in stalled)
        return await asyncio.gather(*stalled), other

    refused, other = asyncio.run(attack())
    assert other.json()["size"] == 3
    assert {response.status for response in refused} == {408}
    problem = refused[0].json()
    assert problem["code"] == "request_timeout"
    assert problem["request_id"] == refused[0].headers["x-request-id"]
    assert refused[0].headers["connection"] == "close"


def test_a_body_that_drips_is_refused(client: Client) -> None:
    parts = [(PERIOD_S / 4, b"x")] * 10
    assert asyncio.run(client.send("POST", "/echo", parts, length(10))).status == 408


def test_a_body_at_the_minimum_rate_is_accepted(client: Client) -> None:
    part = b"x" * request_bodies.MIN_BYTES_PER_PERIOD
    parts = [(PERIOD_S / 4, part)] * 4
    response = asyncio.run(client.send("POST", "/echo", parts, length(4 * len(part))))
    assert response.json()["size"] == 4 * len(part)


def test_a_body_at_the_minimum_rate_has_a_deadline(
    client: Client,
) -> None:
    part = b"x" * request_bodies.MIN_BYTES_PER_PERIOD
    parts = [(PERIOD_S / 2, part)] * 10
    response = asyncio.run(client.send("POST", "/echo", parts, length(10 * len(part))))
    assert response.status == 408


def test_bodies_that_no_route_accepts_occupy_no_thread(client: Client) -> None:
    async def attack() -> Response:
        slow = [
            asyncio.create_task(client.send(method, target, [b"x", NEVER], length(100_000_000)))
            for method, target in (("POST", "/echo"), ("PUT", "/echo"), ("POST", LARGE))
            for _ in range(4)
        ]
        size = MAX_STORED_BYTES + 1
        upload = await client.send("PUT", LARGE, [b"x" * size], length(size))
        assert not any(task.done() for task in slow)
        await asyncio.gather(*slow)
        return upload

    assert asyncio.run(attack()).status == 200


def test_a_body_that_is_too_large_is_received_before_it_is_refused(client: Client) -> None:
    parts = [b"x" * 1_000_000] * 40
    response = asyncio.run(client.send("POST", "/echo", parts, length(40_000_000)))
    assert (response.status, response.json()["code"]) == (413, "too_large")


def test_an_incomplete_body_is_refused_and_runs_no_view(client: Client) -> None:
    async def disconnect() -> list[Response]:
        return [
            await client.send("POST", "/echo", [], length(5)),
            await client.send("POST", "/echo", [], CHUNKED),
        ]

    assert [response.status for response in asyncio.run(disconnect())] == [400, 400]


def test_bodies_beyond_the_space_on_disk_are_refused_but_small_ones_are_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_bodies, "MAX_BYTES_ON_DISK", 100_000)

    async def fill() -> tuple[Response, Response, Response]:
        waiting = asyncio.create_task(
            client.send("POST", "/echo", [b"x" * 90_000, NEVER], length(95_000))
        )
        await asyncio.sleep(0)
        large = await client.send("POST", "/echo", [b"x" * 90_000], length(90_000))
        small = await client.send("POST", "/echo", [b"x" * 50_000], length(50_000))
        await waiting
        return large, small, await client.send("POST", "/echo", [b"x" * 90_000], length(90_000))

    large, small, later = asyncio.run(fill())
    assert (large.status, large.headers["retry-after"]) == (503, "2")
    assert small.status == later.status == 200


def test_a_large_body_is_read_while_it_arrives(client: Client) -> None:
    parts = [b"x" * 1_000_000] * 14
    response = asyncio.run(client.send("PUT", LARGE, parts, length(14_000_000)))
    assert response.body == b"14000000"


@pytest.mark.parametrize("path", ["/api/v1/products/imports", "/api/products/import/"])
def test_a_large_file_to_import_is_read_while_it_arrives(client: Client, path: str) -> None:
    parts = [b"x" * 1_000_000] * 14
    response = asyncio.run(client.send("POST", path, parts, length(14_000_000)))
    assert response.body == b"14000000"


def test_a_large_file_to_import_without_its_length_is_refused(client: Client) -> None:
    parts = [b"x" * 1_000_000] * 14
    response = asyncio.run(client.send("POST", IMPORT, parts, CHUNKED))
    assert (response.status, client.unsent_parts) == (413, [])


def test_a_large_body_that_stalls_ends_the_request(client: Client) -> None:
    size = MAX_STORED_BYTES + 1
    response = asyncio.run(client.send("PUT", LARGE, [b"x" * 1_000_000, NEVER], length(size)))
    assert response.status == 408


def test_a_large_body_that_no_route_accepts_is_discarded_before_the_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_threads, "MAX_UNANSWERED_REQUESTS", 0)
    parts = [b"x" * 1_000_000] * 14
    response = asyncio.run(client.send("PUT", "/unknown", parts, length(14_000_000)))
    assert (response.status, client.unsent_parts) == (413, [])
    response = asyncio.run(client.send("POST", "/echo", parts, CHUNKED))
    assert (response.status, client.unsent_parts) == (413, [])


def test_a_client_that_expects_an_answer_first_sends_no_body_for_a_refusal(client: Client) -> None:
    headers = [*length(14_000_000), (b"expect", b"100-continue")]
    response = asyncio.run(client.send("PUT", "/unknown", [NEVER], headers))
    assert (response.status, client.unsent_parts) == (413, [NEVER])


def test_large_bodies_that_never_arrive_delay_no_other_request(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_threads, "MAX_UNANSWERED_REQUESTS", 5)

    async def attack() -> tuple[Response, list[Response]]:
        stalled = [
            asyncio.create_task(client.send("PUT", LARGE, [NEVER], length(14_000_000)))
            for _ in range(20)
        ]
        await asyncio.sleep(0)
        other = await client.send("POST", "/echo", [b"abc"], length(3))
        return other, await asyncio.gather(*stalled)

    other, refused = asyncio.run(attack())
    assert other.json()["size"] == 3
    assert sorted(response.status for response in refused) == [408] * 5 + [503] * 15


def test_the_time_in_which_nobody_reads_a_body_does_not_count(client: Client) -> None:
    async def read_late() -> bytes:
        parts = [b"a", (0.01, b"b")]
        receiver = request_bodies.BodyReceiver(_receive(parts), period_s=0.05)
        first = await receiver.read()
        await asyncio.sleep(0.1)
        return first + await receiver.read()

    assert asyncio.run(read_late()) == b"ab"


def test_requests_beyond_the_waiting_ones_are_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_threads, "MAX_UNANSWERED_REQUESTS", 2)

    async def flood() -> list[Response]:
        return await asyncio.gather(*(client.send("GET", "/stream") for _ in range(4)))

    statuses = sorted(response.status for response in asyncio.run(flood()))
    assert statuses == [200, 200, 503, 503]


def test_a_streamed_response_arrives_whole_and_in_large_parts(client: Client) -> None:
    response = asyncio.run(client.send("GET", "/stream"))
    assert response.body == b"".join(b"%07d\n" % number for number in range(20_000))
    assert [message["type"] for message in response.messages] == [
        "http.response.start",
        *["http.response.body"] * 3,
    ]


def test_clients_that_read_nothing_occupy_no_thread() -> None:
    count = 8  # of two threads
    stalled = asyncio.Semaphore(0)

    async def stall(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            stalled.release()
            await asyncio.Event().wait()

    async def attack() -> Response:
        client = Client(WsgiThreads(get_wsgi_application(), threads=2, period_s=60))
        tasks = [
            asyncio.create_task(client.send("GET", "/stream", send=stall)) for _ in range(count)
        ]
        for _ in range(count):
            await asyncio.wait_for(stalled.acquire(), timeout=30)
        other = await client.send("GET", "/echo")
        for task in tasks:
            assert task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return other

    with override_settings(ROOT_URLCONF=__name__):
        assert asyncio.run(attack()).status == 200


def test_a_client_that_reads_nothing_is_given_up(client: Client) -> None:
    async def stall(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    asyncio.run(asyncio.wait_for(client.send("GET", "/stream", send=stall), timeout=30))


def test_a_charset_that_decodes_no_query_is_refused(client: Client) -> None:
    headers = [(b"content-type", b"text/plain; charset=zip")]
    response = asyncio.run(client.send("GET", "/echo", (), headers, query=b"a=1"))
    assert (response.status, response.json()["code"]) == (400, "bad_request")


def test_header_names_with_underscores_are_dropped(client: Client) -> None:
    headers = [
        (b"x_forwarded_for", b"10.0.0.1"),
        (b"content_length", b"7"),
        (b"x-real", b"1"),
        (b"x-real", b"2"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"x-latin", "ü".encode()),
    ]
    sent = asyncio.run(client.send("GET", "/echo", (), headers)).json()["headers"]
    assert sent == {
        "HTTP_HOST": "localhost",
        "HTTP_X_REAL": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_LATIN": "ü".encode().decode("latin-1"),
    }
