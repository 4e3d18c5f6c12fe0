"""Keep clients that send their bodies slowly from occupying all threads.

A thread that waits for a body serves no other request, and a read that has begun can't be
cancelled. So all threads but one may wait for bodies at a time; the last one is kept for requests
without a body and for refusals. A proxy in front that buffers small bodies (`docker/Caddyfile`)
keeps slow clients away altogether. See docs/adr/0009-slow-clients.md.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import Any, Protocol

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

SLOT_TIMEOUT_S = 0.1  # enough for another thread to read what has already arrived
MAX_DRAINED_BYTES = 1024 * 1024  # clients send larger bodies only after asking (Expect: 100)


class Body(Protocol):
    def read(self, *size: int) -> bytes: ...
    def readline(self, *size: int) -> bytes: ...


class SlottedBody:
    """A body whose reads raise `BlockingIOError` while too many threads wait for bodies."""

    def __init__(self, body: Body, slots: BoundedSemaphore) -> None:
        self._body = body
        self._slots = slots
        self._was_refused = False
        self.bytes_read = 0

    def read(self, *size: int) -> bytes:
        return self._read(self._body.read, *size)

    def readline(self, *size: int) -> bytes:
        return self._read(self._body.readline, *size)

    def _read(self, read: Callable[..., bytes], *size: int) -> bytes:
        with self._slot():
            data = read(*size)
        self.bytes_read += len(data)
        return data

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self._was_refused or not self._slots.acquire(timeout=SLOT_TIMEOUT_S):
            self._was_refused = True
            raise BlockingIOError("too many requests wait for their bodies")
        try:
            yield
        finally:
            self._slots.release()


def limit_waiting_bodies(application: Application, *, threads: int, max_bytes: int) -> Application:
    """Wrap a WSGI application so that all but one of its `threads` may wait for bodies.

    A chunked body, whose length Django does not know, is read first, up to one byte more than
    `max_bytes`, which Django then refuses. A small body that the application has not read is
    drained after the response. Otherwise the server would close the connection without notice, and
    the client's next request on it would fail.
    """
    slots = BoundedSemaphore(max(1, threads - 1))

    def wrapped(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"] = SlottedBody(environ["wsgi.input"], slots)
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            environ |= _read_chunked(body, max_bytes)
        answer = application(environ, start_response)
        if body.bytes_read < int(environ.get("CONTENT_LENGTH") or 0) <= MAX_DRAINED_BYTES:
            with suppress(BlockingIOError):
                body.read()
        return answer

    return wrapped


def _read_chunked(body: SlottedBody, max_bytes: int) -> Environ:
    """Return the environ of a body with a known length."""
    try:
        data = body.read(max_bytes + 1)
    except BlockingIOError:
        return {"CONTENT_LENGTH": "1"}  # the view's read raises the same error
    return {"wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))}
