"""A local OpenAI-compatible server for tests, with failures on demand.

    with FakeProvider(rate_limited(1), server_error(), answer("Fine.")) as provider:
        OpenAISummarizer(base_url=provider.url, ...)

Each request gets the next behaviour, and `default` when none is left. A behaviour is a function
that takes the `Exchange` and may depend on the request. The server is a thread of the test's
process; other processes reach it by its `url`.
"""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Behaviour = Callable[["Exchange"], None]
Json = dict[str, Any]

_document = re.compile(r"\A<document (\w+)>\n(.*)\n</document \1>\Z", re.DOTALL)


@dataclass
class Exchange:
    """One request and its response.

    `headers` have lower-case names. `started` and `ended` are `time.monotonic()` seconds. `usage`
    is the usage in the answer. `served` is set when the whole response was written; the client
    may have stopped reading before.
    """

    body: Json
    headers: Mapping[str, str]
    number: int
    started: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    status: int | None = None
    usage: Any = None
    served: bool = False
    handler: BaseHTTPRequestHandler | None = field(default=None, repr=False)
    closing: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def system(self) -> str:
        """The instructions to the model."""
        return "\n".join(m["content"] for m in self.body["messages"] if m["role"] == "system")

    @property
    def document(self) -> str:
        """The text in the user message, without its marks."""
        content: str = self.body["messages"][-1]["content"]
        match = _document.match(content)
        return match[2] if match else content

    @property
    def prompt_tokens(self) -> int:
        """The prompt's size as this server counts it: a word is a token."""
        return sum(len(message["content"].split()) for message in self.body["messages"])

    @property
    def port(self) -> int:
        """The client's port."""
        assert self.handler is not None
        return self.handler.client_address[1]

    def sleep(self, seconds: float) -> None:
        """Wait, unless the server is closing."""
        self.closing.wait(seconds)

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response."""
        self.send_head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.write(body)
        self.served = True

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        assert self.handler is not None
        self.status = status
        self.handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        assert self.handler is not None
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def send_json(
        self, status: int, payload: Any, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send(status, json.dumps(payload).encode(), headers)


class FakeProvider:
    """The server; `requests` are all requests so far, in order."""

    def __init__(self, *script: Behaviour, default: Behaviour | None = None) -> None:
        self.requests: list[Exchange] = []
        self.default = default or answer()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._script = deque(script)
        self._server = _ProviderServer(("127.0.0.1", 0), _ProviderRequestHandler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def then(self, *behaviours: Behaviour) -> None:
        """Append behaviours for the next requests."""
        with self.lock:
            self._script.extend(behaviours)

    def receive(self, body: Json, headers: Mapping[str, str]) -> tuple[Exchange, Behaviour]:
        """Store a request and choose its behaviour."""
        with self.lock:
            number = len(self.requests) + 1
            lower = {name.lower(): value for name, value in headers.items()}
            exchange = Exchange(body, lower, number, closing=self.closing)
            self.requests.append(exchange)
            return exchange, self._script.popleft() if self._script else self.default

    def tokens(self, name: str = "total_tokens") -> int:
        """Return the sum of one number of `usage` over all answers that were sent completely."""
        with self.lock:
            served = [exchange.usage for exchange in self.requests if exchange.served]
        return sum(usage[name] for usage in served if isinstance(usage, dict))

    @property
    def max_parallel_requests(self) -> int:
        """The largest number of requests that were open at the same time."""
        times = [(r.started, 1) for r in self.requests]
        times += [(r.ended, -1) for r in self.requests if r.ended]
        opened, most = 0, 0
        for _, change in sorted(times):
            opened += change
            most = max(most, opened)
        return most

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _ProviderServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    provider: FakeProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close their connection."""


class _ProviderRequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _ProviderServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        exchange, behaviour = self.server.provider.receive(body, dict(self.headers))
        exchange.handler = self
        try:
            path = self.path.partition("?")[0]
            if path.rstrip("/").endswith("/chat/completions"):
                behaviour(exchange)
            else:
                fail(404, message=f"no such path: {self.path}")(exchange)
        except ConnectionError:
            self.close_connection = True
        finally:
            exchange.ended = time.monotonic()

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: tests read `requests`."""


def first_words(text: str, words: int = 12) -> str:
    """Return the first words of a text: the default answer."""
    return " ".join(text.split()[:words]) or "Nothing."


def count_usage(exchange: Exchange, text: str) -> Json:
    """Return the usage of an answer as this server counts it: a word is a token."""
    prompt = exchange.prompt_tokens
    completion = len(text.split())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


_COUNTED = object()


def answer(
    text: Any = None, *, usage: Any = _COUNTED, finish: str = "stop", refusal: str | None = None
) -> Behaviour:
    """Answer with `text`, by default with the first words of the document.

    `usage` replaces the true usage; `None` leaves it out.
    """

    def behave(exchange: Exchange) -> None:
        content = first_words(exchange.document) if text is None else text
        sent_usage = count_usage(exchange, str(content)) if usage is _COUNTED else usage
        message = {"role": "assistant", "content": content, "refusal": refusal}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        send_payload(exchange, [choice], sent_usage)

    return behave


def send_payload(exchange: Exchange, choices: list[Json], usage: Any) -> None:
    exchange.usage = usage
    payload = {
        "id": f"chatcmpl-{exchange.number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": exchange.body.get("model"),
        "choices": choices,
    }
    exchange.send_json(200, payload if usage is None else {**payload, "usage": usage})


def no_content() -> Behaviour:
    """Answer with a choice whose content is null."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None}}
    return lambda exchange: send_payload(exchange, [choice], count_usage(exchange, ""))


def no_usage() -> Behaviour:
    """Answer with a choice whose content is null, and without usage."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None}}
    return lambda exchange: send_payload(exchange, [choice], None)


def no_choices() -> Behaviour:
    return lambda exchange: send_payload(exchange, [], count_usage(exchange, ""))


def refusal() -> Behaviour:
    """Answer as the provider's content filter does."""
    return answer("", finish="content_filter")


def truncated(text: str) -> Behaviour:
    """Answer with a text that was cut off at the token limit."""
    return answer(text, finish="length")


def fail(
    status: int,
    *,
    code: str | None = None,
    param: str | None = None,
    message: str = "It failed.",
    headers: Mapping[str, str] | None = None,
) -> Behaviour:
    """Answer with an error in OpenAI's format."""
    error = {"message": message, "type": "error", "param": param, "code": code}
    return lambda exchange: exchange.send_json(status, {"error": error}, headers)


def server_error(status: int = 500) -> Behaviour:
    return fail(status)


def rate_limited(retry_after: float | str | None = None) -> Behaviour:
    """Answer 429; `retry_after` is the header's value, seconds or an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return fail(429, code="rate_limit_exceeded", headers=headers)


def refuse_parameter(param: str) -> Behaviour:
    """Answer 400, as reasoning models do to a parameter that they don't support."""
    message = f"Unsupported parameter: '{param}' is not supported with this model."
    return fail(400, code="unsupported_parameter", param=param, message=message)


def slow(seconds: float, behaviour: Behaviour | None = None) -> Behaviour:
    """Wait before another behaviour."""

    def behave(exchange: Exchange) -> None:
        exchange.sleep(seconds)
        if not exchange.closing.is_set():
            (behaviour or answer())(exchange)

    return behave


def send_byte_by_byte(seconds: float, *, pause: float = 0.05) -> Behaviour:
    """Send a response byte by byte for `seconds`, and never complete it."""

    def behave(exchange: Exchange) -> None:
        exchange.send_head(200, {"Content-Length": "1000000"})
        while time.monotonic() - exchange.started < seconds and not exchange.closing.is_set():
            exchange.write(b" ")
            exchange.sleep(pause)
        _hang_up(exchange)

    return behave


def cut_off() -> Behaviour:
    """Close the connection in the middle of the body."""

    def behave(exchange: Exchange) -> None:
        exchange.send_head(200, {"Content-Length": "4000"})
        exchange.write(b'{"id": "chatcmpl-1", "choices": [{"message": {"content": "The tea')
        _hang_up(exchange)

    return behave


def hang_up() -> Behaviour:
    """Close the connection without a response."""
    return _hang_up


def garbage(body: bytes = b"<html>Bad gateway</html>") -> Behaviour:
    """Answer 200 with an invalid body."""
    return lambda exchange: exchange.send(200, body)


def _hang_up(exchange: Exchange) -> None:
    assert exchange.handler is not None
    exchange.handler.close_connection = True
