"""The bodies of requests, which come as slowly as a client sends them.

A thread of the server that waits for one serves nobody meanwhile, and a read that has begun can't
be given up. So all threads but one may wait at a time, and the last is left for requests without a
body and for refusals. A proxy in front that collects small bodies (see `docker/Caddyfile`) keeps
slow clients away altogether.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import Any, Protocol

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

PATIENCE = 0.1  # seconds until another thread has read what has already arrived
SMALL = 1024 * 1024  # bytes; up to here clients send without asking first whether it is welcome


class Body(Protocol):
    def read(self, *size: int) -> bytes: ...
    def readline(self, *size: int) -> bytes: ...


class AwaitedBody:
    """A body whose `read` raises `BlockingIOError` where as many threads wait as may."""

    def __init__(self, body: Body, places: BoundedSemaphore) -> None:
        self._body = body
        self._places = places
        self.came = 0  # bytes
        self.was_refused = False

    def read(self, *size: int) -> bytes:
        with self._place():
            data = self._body.read(*size)
        self.came += len(data)
        return data

    def readline(self, *size: int) -> bytes:
        with self._place():
            data = self._body.readline(*size)
        self.came += len(data)
        return data

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self.was_refused or not self._places.acquire(timeout=PATIENCE):
            self.was_refused = True
            raise BlockingIOError("too many requests wait for their bodies")
        try:
            yield
        finally:
            self._places.release()


def awaited(application: Application, *, threads: int, longest: int) -> Application:
    """Let the application wait for bodies with all of the server's `threads` but one.

    One that comes in chunks, without a length that Django knows, is read before; if it is longer
    than `longest` bytes, only so far as it takes Django to refuse it. A small one that nobody has
    read is read after all: the server closes a connection whose body was not, and does not say so
    where the body comes after the answer. The next request on it would be lost.
    """
    places = BoundedSemaphore(max(1, threads - 1))

    def wrapped(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"] = AwaitedBody(environ["wsgi.input"], places)
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            environ |= _with_length(body, longest)
        answer = application(environ, start_response)
        if body.came < int(environ.get("CONTENT_LENGTH") or 0) <= SMALL:
            with suppress(BlockingIOError):
                body.read()
        return answer

    return wrapped


def _with_length(body: AwaitedBody, longest: int) -> Environ:
    try:
        data = body.read(longest + 1)
    except BlockingIOError:
        # Who reads it finds that it can't be had.
        return {"CONTENT_LENGTH": "1"}
    return {"wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))}
