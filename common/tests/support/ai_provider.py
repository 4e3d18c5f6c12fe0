"""A local OpenAI-compatible server that misbehaves on command, for tests.

    with FakeProvider(rate_limited(1), server_error(), answer("Fine.")) as provider:
        OpenAISummarizer(base_url=provider.url, ...)

Each request is met by the next behaviour; when they are used up, by `default`. A behaviour is a
function that takes the `Exchange`; what depends on the request is such a function too. The server
is a thread of the test's process, and processes that the test starts reach it by `url`.
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
    """One request and what became of it.

    `headers` have lower-case names. `at` and `ended` are `time.monotonic()` seconds, `usage` is
    what the answer said it used, `served` whether a response was written to the end (a client that
    had stopped waiting may not have read it).
    """

    body: Json
    headers: Mapping[str, str]
    number: int
    at: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    status: int | None = None
    usage: Any = None
    served: bool = False
    handler: BaseHTTPRequestHandler | None = field(default=None, repr=False)
    closing: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def system(self) -> str:
        """What the model is told to do."""
        return "\n".join(m["content"] for m in self.body["messages"] if m["role"] == "system")

    @property
    def document(self) -> str:
        """The text that the user's message holds, without its marks."""
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
        """Waits, but not for a server that is closing."""
        self.closing.wait(seconds)

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A whole response."""
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
    """The server, from `with` or `start` to `close`. `requests` are all that came, in order."""

    def __init__(self, *script: Behaviour, default: Behaviour | None = None) -> None:
        self.requests: list[Exchange] = []
        self.default = default or answer()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._script = deque(script)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def then(self, *behaviours: Behaviour) -> None:
        """Adds to what the next requests meet."""
        with self.lock:
            self._script.extend(behaviours)

    def accept(self, body: Json, headers: Mapping[str, str]) -> tuple[Exchange, Behaviour]:
        """Keeps a request and chooses what it meets."""
        with self.lock:
            number = len(self.requests) + 1
            lower = {name.lower(): value for name, value in headers.items()}
            exchange = Exchange(body, lower, number, closing=self.closing)
            self.requests.append(exchange)
            return exchange, self._script.popleft() if self._script else self.default

    def tokens(self, name: str = "total_tokens") -> int:
        """The sum of one usage figure over all answers that were served whole."""
        with self.lock:
            served = [exchange.usage for exchange in self.requests if exchange.served]
        return sum(usage[name] for usage in served if isinstance(usage, dict))

    @property
    def busiest(self) -> int:
        """The most requests that were open at one time."""
        times = [(r.at, 1) for r in self.requests]
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    provider: FakeProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        exchange, behaviour = self.server.provider.accept(body, dict(self.headers))
        exchange.handler = self
        try:
            if self.path.rstrip("/").endswith("/chat/completions"):
                behaviour(exchange)
            else:
                fail(404, message=f"no such path: {self.path}")(exchange)
        except ConnectionError:
            self.close_connection = True
        finally:
            exchange.ended = time.monotonic()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `requests`."""


def summary_of(text: str, words: int = 12) -> str:
    """What the server answers by itself: the first words of the text."""
    return " ".join(text.split()[:words]) or "Nothing."


def counted(exchange: Exchange, text: str) -> Json:
    """Usage figures as this server counts: a word is a token."""
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
    """An answer: `text` as the content (None: `summary_of` the document), `usage` instead of the
    true figures (None: leaves them out)."""

    def behave(exchange: Exchange) -> None:
        content = summary_of(exchange.document) if text is None else text
        figures = counted(exchange, str(content)) if usage is _COUNTED else usage
        message = {"role": "assistant", "content": content, "refusal": refusal}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        send_payload(exchange, [choice], figures)

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
    """A choice whose content is null."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None}}
    return lambda exchange: send_payload(exchange, [choice], counted(exchange, ""))


def no_usage() -> Behaviour:
    """A choice whose content is null, without figures."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None}}
    return lambda exchange: send_payload(exchange, [choice], None)


def no_choices() -> Behaviour:
    return lambda exchange: send_payload(exchange, [], counted(exchange, ""))


def refusal() -> Behaviour:
    """The provider's content filter at work."""
    return answer("", finish="content_filter")


def cut_short(text: str) -> Behaviour:
    """An answer that met the token limit."""
    return answer(text, finish="length")


def fail(
    status: int,
    *,
    code: str | None = None,
    param: str | None = None,
    message: str = "It failed.",
    headers: Mapping[str, str] | None = None,
) -> Behaviour:
    """An error in the shape that OpenAI gives it."""
    error = {"message": message, "type": "error", "param": param, "code": code}
    return lambda exchange: exchange.send_json(status, {"error": error}, headers)


def server_error(status: int = 500) -> Behaviour:
    return fail(status)


def rate_limited(retry_after: float | str | None = None) -> Behaviour:
    """429; `retry_after` is the header's value, seconds or an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return fail(429, code="rate_limit_exceeded", headers=headers)


def refuses(param: str) -> Behaviour:
    """400 as reasoning models answer to a parameter that they do not take."""
    message = f"Unsupported parameter: '{param}' is not supported with this model."
    return fail(400, code="unsupported_parameter", param=param, message=message)


def slow(seconds: float, behaviour: Behaviour | None = None) -> Behaviour:
    """Silence for a while, then another behaviour."""

    def behave(exchange: Exchange) -> None:
        exchange.sleep(seconds)
        if not exchange.closing.is_set():
            (behaviour or answer())(exchange)

    return behave


def dribble(seconds: float, *, pause: float = 0.05) -> Behaviour:
    """A response that comes byte by byte for so long and is never complete."""

    def behave(exchange: Exchange) -> None:
        exchange.send_head(200, {"Content-Length": "1000000"})
        while time.monotonic() - exchange.at < seconds and not exchange.closing.is_set():
            exchange.write(b" ")
            exchange.sleep(pause)
        _hang_up(exchange)

    return behave


def cut_off() -> Behaviour:
    """A body that ends in its middle."""

    def behave(exchange: Exchange) -> None:
        exchange.send_head(200, {"Content-Length": "4000"})
        exchange.write(b'{"id": "chatcmpl-1", "choices": [{"message": {"content": "The tea')
        _hang_up(exchange)

    return behave


def hang_up() -> Behaviour:
    """No response at all."""
    return _hang_up


def garbage(body: bytes = b"<html>Bad gateway</html>") -> Behaviour:
    """200 with a body that is not what it should be."""
    return lambda exchange: exchange.send(200, body)


def _hang_up(exchange: Exchange) -> None:
    assert exchange.handler is not None
    exchange.handler.close_connection = True
