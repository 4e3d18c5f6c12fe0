"""The ASGI application of the live process.

Django's WSGI application answers each request in a thread: it checks who asks for what, as for all
routes of the API. If its response is a stream, the body is then sent here, without a thread.
"""

import asyncio
import io
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import structlog
from django.db import connection

from common.redaction import redacted_message
from config.request_bodies import Receive
from config.wsgi_threads import (
    Environ,
    Overloaded,
    Response,
    Scope,
    Send,
    ThreadPool,
    WsgiApplication,
    build_environ,
    refuse,
    start_message,
)
from integrations.live import frames, metrics
from integrations.live.address import LIMITS_KEY
from integrations.live.feed import Feed
from integrations.live.history import read_history
from integrations.live.limits import StreamLimits
from integrations.live.listener import Listener
from integrations.live.positions import find_position
from integrations.live.stream import Stream

log = structlog.get_logger(__name__)
T = TypeVar("T")

THREADS = 4
# Streams are looked at every second, so an idle one gets a comment at least every 15 seconds.
WATCH_INTERVAL_S = 1.0
HEARTBEAT_INTERVAL_S = 14.0
# A client must accept what is sent to it within this time.
SEND_TIMEOUT_S = 20.0
JOIN_TIMEOUT_S = 5.0


class LiveApplication:
    """Serves streams until SIGTERM: Granian would wait for ever for their clients."""

    def __init__(
        self,
        django_application: WsgiApplication,
        *,
        max_streams: int,
        max_per_user: int,
        heartbeat_s: float = HEARTBEAT_INTERVAL_S,
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self._django_application = django_application
        self._heartbeat_s = heartbeat_s
        self._send_timeout_s = send_timeout_s
        self._limits = StreamLimits(max_streams=max_streams, max_per_user=max_per_user)
        # After a restart all clients come at once.
        self._threads = ThreadPool(THREADS, "live", max_unanswered=2 * max_streams)
        self._feed = Feed()
        self._listener = Listener(self._feed)
        self._streams: set[Stream] = set()
        self._is_stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        if stream := await self._answer(scope, send):
            try:
                await self._serve(stream, receive, send)
            finally:
                self._forget(stream)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Granian's own handlers, which the loop calls by itself, are called too.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self.end_streams))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def start(self) -> None:
        self._feed.start(asyncio.get_running_loop())
        self._listener.start()
        self._watcher = asyncio.create_task(self._watch_streams())

    def stop(self) -> None:
        self._feed.stop()
        self._listener.stop()

    def end_streams(self) -> None:
        """End all streams, so that the process can end; their clients come back later."""
        self._is_stopping = True
        for stream in self._streams:
            stream.close("restart")

    async def _watch_streams(self) -> None:
        """Send comments to idle streams, and end those whose clients don't read.

        One task does this for all: two timers for each event of each stream would be slow.
        """
        interval_s = min(WATCH_INTERVAL_S, self._heartbeat_s / 2, self._send_timeout_s / 2)
        while True:
            await asyncio.sleep(interval_s)
            now = time.monotonic()
            for stream in self._streams:
                if stream.sender and now > stream.sent_at + self._send_timeout_s:
                    stream.close("slow")
                    stream.sender.cancel()
                elif not stream.sender and now > stream.sent_at + self._heartbeat_s:
                    stream.push([frames.HEARTBEAT])

    async def _answer(self, scope: Scope, send: Send) -> Stream | None:
        """Send a response, or the headers of a stream and return that."""
        environ = build_environ(scope)
        try:
            response, stream = await self._threads.run(self._ask_django, environ)
        except Overloaded:
            response, stream = refuse(environ, 503), None
        if stream and not await self._join(stream):
            response, stream = refuse(environ, 503), None
        await send(start_message(response.status, response.headers))
        if not stream:
            await send({"type": "http.response.body", "body": response.body})
        return stream

    def _ask_django(self, environ: Environ) -> tuple[Response, Stream | None]:
        # No route here has a body.
        environ |= {LIMITS_KEY: self._limits, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": ""}
        start: list[Any] = []
        try:
            response = self._django_application(environ, lambda *values: start.extend(values))
        except Exception as error:  # Django could not even build its request object
            log.warning("unreadable_request", error=redacted_message(error))
            return refuse(environ | {"CONTENT_TYPE": "", "QUERY_STRING": ""}, 400), None
        try:
            status, body = int(start[0].partition(" ")[0]), b"".join(response)
            is_stream = environ["REQUEST_METHOD"] == "GET"
            stream = getattr(response, "stream", None) if is_stream else None
            return Response(status, start[1], body), stream
        finally:
            response.close()

    async def _join(self, stream: Stream) -> bool:
        """Begin to collect new events; return False if the database does not answer in time."""
        self._streams.add(stream)
        metrics.STREAMS.inc()
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await self._feed.join(stream)
            if self._is_stopping:
                stream.close("restart")
        except TimeoutError:
            stream.close("unavailable")
            self._forget(stream)
            return False
        return True

    def _forget(self, stream: Stream) -> None:
        stream.close("disconnected")
        self._streams.discard(stream)
        self._limits.remove(stream.credential.user_id)
        metrics.STREAMS.dec()
        metrics.CLOSED_STREAMS.labels(stream.close_reason).inc()

    async def _serve(self, stream: Stream, receive: Receive, send: Send) -> None:
        """Send the stream until it is closed or the client disconnects."""
        watcher = asyncio.create_task(_close_on_disconnect(stream, receive))
        try:
            await _send_part(stream, frames.start(), send)
            if stream.is_resumed:
                await self._send_history(stream, send)
            while stream.is_open:
                await _send_part(stream, stream.take(), send)
                await stream.signal.wait()
            await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if stream.close_reason != "slow":
                raise
        finally:
            watcher.cancel()

    async def _send_history(self, stream: Stream, send: Send) -> None:
        """Send what the client has missed, up to the position at which new events begin."""
        position = None
        if stream.since:
            position = await self._in_thread(partial(find_position, stream.since, stream.user))
        if position is None:
            await _send_part(stream, frames.reset(), send)
        while position is not None and position < stream.start and stream.is_open:
            read = partial(
                read_history, stream.user, stream.patterns, after=position, until=stream.start
            )
            part, position = await self._in_thread(read)
            await _send_part(stream, part, send)

    async def _in_thread(self, read: Callable[[], T]) -> T:
        return await self._threads.run(_with_connection, read)


def _with_connection(read: Callable[[], T]) -> T:
    """Call a function; its database connection then goes back to the pool."""
    try:
        return read()
    finally:
        connection.close()


async def _close_on_disconnect(stream: Stream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.close("disconnected")


async def _send_part(stream: Stream, part: bytes, send: Send) -> None:
    """Send a part of a stream; `_watch_streams` cancels this if the client does not accept it."""
    if not part:
        return
    stream.sent_at, stream.sender = time.monotonic(), asyncio.current_task()
    await send({"type": "http.response.body", "body": part, "more_body": True})
    stream.sender = None
