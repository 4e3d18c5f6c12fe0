"""The ASGI application of the live process.

Django's WSGI application answers each request in a thread: it checks who asks for what, as for all
routes of the API. If its response is a stream, the body is then sent here, without a thread.
"""

import asyncio
import io
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

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
from integrations.live.history import Position, find_position, read_history
from integrations.live.limits import StreamLimits
from integrations.live.listener import Listener
from integrations.live.stream import Stream
from integrations.live.views import Subscription

log = structlog.get_logger(__name__)
T = TypeVar("T")

THREADS = 4
HEARTBEAT_INTERVAL_S = 15.0
# A client must accept what is sent to it within this time.
SEND_TIMEOUT_S = 20.0
JOIN_TIMEOUT_S = 5.0


class Answer(NamedTuple):
    """Django's response to a request; with a `subscription` its body is a stream."""

    response: Response
    subscription: Subscription | None = None


class LiveApplication:
    """Serves streams until SIGTERM: Granian would wait for ever for their clients."""

    def __init__(
        self, django_application: WsgiApplication, *, max_streams: int, max_per_user: int
    ) -> None:
        self._django_application = django_application
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
        environ = build_environ(scope)
        try:
            answer = await self._threads.run(self._ask_django, environ)
        except Overloaded:
            answer = Answer(refuse(environ, 503))
        if answer.subscription:
            await self._serve(environ, answer.response, answer.subscription, receive, send)
        else:
            await _send_response(answer.response, send)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._feed.stop()
        self._listener.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._feed.start(loop)
        self._listener.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Granian's own handlers, which the loop calls by itself, are called too.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self.end_streams))

    def end_streams(self) -> None:
        """End all streams, so that the process can end; their clients come back later."""
        self._is_stopping = True
        for stream in self._streams:
            stream.close("restart")

    def _ask_django(self, environ: Environ) -> Answer:
        # No route here has a body.
        environ |= {LIMITS_KEY: self._limits, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": ""}
        start: list[Any] = []
        try:
            response = self._django_application(environ, lambda *values: start.extend(values))
        except Exception as error:  # Django could not even build its request object
            log.warning("unreadable_request", error=redacted_message(error))
            return Answer(refuse(environ | {"CONTENT_TYPE": "", "QUERY_STRING": ""}, 400))
        try:
            status, body = int(start[0].partition(" ")[0]), b"".join(response)
            is_stream = environ["REQUEST_METHOD"] == "GET"
            subscription = getattr(response, "subscription", None) if is_stream else None
            return Answer(Response(status, start[1], body), subscription)
        finally:
            response.close()

    async def _serve(
        self,
        environ: Environ,
        response: Response,
        subscription: Subscription,
        receive: Receive,
        send: Send,
    ) -> None:
        """Send the stream, and end it when the client disconnects."""
        stream = Stream(subscription.credential, subscription.user, subscription.patterns)
        self._streams.add(stream)
        metrics.STREAMS.inc()
        watcher = asyncio.create_task(_close_on_disconnect(stream, receive))
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                position = await self._feed.join(stream)
        except TimeoutError:  # the database does not answer
            stream.close("unavailable")
            await _send_response(refuse(environ, 503), send)
        else:
            await send(start_message(response.status, response.headers))
            await self._send_stream(stream, subscription, position, send)
        finally:
            watcher.cancel()
            stream.close("disconnected")
            self._streams.discard(stream)
            self._limits.remove(subscription.user.pk)
            metrics.STREAMS.dec()
            metrics.CLOSED_STREAMS.labels(stream.close_reason).inc()

    async def _send_stream(
        self, stream: Stream, subscription: Subscription, position: Position, send: Send
    ) -> None:
        try:
            await _send_part(frames.start(), send)
            if subscription.is_resumed:
                async for part in self._read_history(stream, subscription, position):
                    await _send_part(part, send)
            async for part in _read_new(stream):
                await _send_part(part, send)
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            stream.close("slow")

    async def _read_history(
        self, stream: Stream, subscription: Subscription, until: Position
    ) -> AsyncIterator[bytes]:
        """Yield what the client has missed, up to the position at which new events begin."""
        since, position = subscription.since, None
        if since:
            position = await self._in_thread(partial(find_position, since, stream.user))
        if position is None:
            yield frames.reset()
        while position is not None and position < until and stream.is_open:
            read = partial(read_history, stream.user, stream.patterns, after=position, until=until)
            part, position = await self._in_thread(read)
            yield part

    async def _in_thread(self, read: Callable[[], T]) -> T:
        return await self._threads.run(_with_connection, read)


def _with_connection(read: Callable[[], T]) -> T:
    """Call a function; its database connection then goes back to the pool."""
    try:
        return read()
    finally:
        connection.close()


async def _read_new(stream: Stream) -> AsyncIterator[bytes]:
    """Yield new events, or a comment if there are none for a while, until the stream ends."""
    while stream.is_open:
        if part := stream.take():
            yield part
            continue
        try:
            async with asyncio.timeout(HEARTBEAT_INTERVAL_S):
                await stream.signal.wait()
        except TimeoutError:
            yield frames.HEARTBEAT


async def _close_on_disconnect(stream: Stream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.close("disconnected")


async def _send_part(part: bytes, send: Send) -> None:
    """Send a part of a stream; raise `TimeoutError` if the client does not accept it."""
    if part:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await send({"type": "http.response.body", "body": part, "more_body": True})


async def _send_response(response: Response, send: Send) -> None:
    await send(start_message(response.status, response.headers))
    await send({"type": "http.response.body", "body": response.body})
