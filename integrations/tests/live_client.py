"""The live application in an event loop of its own, and clients that read its streams."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from threading import Thread
from typing import Any

from django.core.wsgi import get_wsgi_application

from common.tests.support.events import wait_until_settled
from config.live_application import LiveApplication

TIMEOUT_S = 8.0
STREAM = "/api/v1/events/stream"


class Stream:
    """One request: its response, and for a stream what arrives."""

    def __init__(self) -> None:
        self.parts: Queue[Any] = Queue()
        self.disconnected = asyncio.Event()
        self._text = ""

    def read_start(self) -> None:
        start = self.parts.get(timeout=TIMEOUT_S)
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}

    def json(self) -> Any:
        return json.loads(self.read_all())

    def read_all(self) -> str:
        """Return the rest, up to the end of the response."""
        while self._read_part():
            pass
        text, self._text = self._text, ""
        return text

    def read_block(self) -> str:
        """Return the next event or comment, without the empty line after it; "" at the end."""
        while "\n\n" not in self._text:
            if not self._read_part():
                return ""
        block, _, self._text = self._text.partition("\n\n")
        return block

    def read_event(self) -> dict[str, Any]:
        """Return the fields of the next event, with parsed `data`; empty at the end."""
        while block := self.read_block():
            if not block.startswith(":"):
                fields = dict(line.split(": ", 1) for line in block.split("\n"))
                return {**fields, "data": json.loads(fields["data"])}
        return {}

    def read_types(self, count: int) -> list[str]:
        return [self.read_event()["event"] for _ in range(count)]

    def is_silent(self, seconds: float = 0.2) -> bool:
        """Return whether only comments arrive."""
        while True:
            try:
                part = self.parts.get(timeout=seconds)
            except Empty:
                return not self._text
            text = part.get("body", b"").decode()
            self._text += "" if text.startswith(":") and text.count("\n\n") == 1 else text

    def _read_part(self) -> bool:
        part = self.parts.get(timeout=TIMEOUT_S)
        self._text += part.get("body", b"").decode()
        return bool(part.get("more_body", False))


class LiveServer:
    """Runs the application; each call of `open` is a request."""

    def __init__(self, **options: Any) -> None:
        options = {"max_streams": 50, "max_per_user": 20, **options}
        self.application = LiveApplication(get_wsgi_application(), **options)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[Any] = []

    @contextmanager
    def running(self) -> Iterator["LiveServer"]:
        self._thread.start()
        self._call(self._start())
        try:
            yield self
        finally:
            self._call(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def open(
        self,
        token: str = "",
        query: str = "",
        *,
        method: str = "GET",
        path: str = STREAM,
        send: Callable[[Any], Awaitable[None]] | None = None,
        **headers: str,
    ) -> Stream:
        """Send a request, and return when its response begins.

        Earlier events, such as that of the sign-in, are settled then: a new stream leaves them out.
        """
        wait_until_settled()
        stream = Stream()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 8001),
            "client": ("127.0.0.1", 50_000),
            "headers": [
                (b"host", b"localhost:8001"),
                *([(b"authorization", f"Bearer {token}".encode())] if token else []),
                *((name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()),
            ],
        }
        self._tasks.append(
            asyncio.run_coroutine_threadsafe(self._request(scope, stream, send), self._loop)
        )
        stream.read_start()
        return stream

    def disconnect(self, stream: Stream) -> None:
        self._loop.call_soon_threadsafe(stream.disconnected.set)

    def end_streams(self) -> None:
        self._loop.call_soon_threadsafe(self.application.end_streams)

    async def _request(self, scope: Any, stream: Stream, send: Any) -> None:
        async def keep(message: Any) -> None:
            stream.parts.put(message)
            if send and message["type"] == "http.response.body":
                await send(message)

        async def receive() -> Any:
            await stream.disconnected.wait()
            return {"type": "http.disconnect"}

        await self.application(scope, receive, keep)

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)

    async def _start(self) -> None:
        self.application.start()

    async def _stop(self) -> None:
        self.application.end_streams()
        await asyncio.gather(*map(asyncio.wrap_future, self._tasks))
        await asyncio.to_thread(self.application.stop)
