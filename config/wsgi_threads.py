"""Run a WSGI application in threads, from ASGI requests whose bodies are complete."""

import asyncio
import io
import re
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import IO, Any, NamedTuple, TypeVar

import structlog
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse

from common.api.exceptions import ServiceUnavailable
from common.api.problems import problem_response
from common.api.request_body import MAX_FORM_OVERHEAD_BYTES
from common.middleware import RequestLogMiddleware
from common.redaction import redacted_message
from config.request_bodies import (
    DEADLINE_S,
    PERIOD_S,
    BodyReceiver,
    BodyStore,
    BodyStream,
    ClientDisconnected,
    ClientTooSlow,
    Receive,
    TooManyBodies,
    create_file,
)

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
WsgiApplication = Callable[[Environ, Callable[..., Any]], Any]
T = TypeVar("T")

MAX_UNANSWERED_REQUESTS = 256  # of each pool of threads by default
# At least the limit of every view: only the beginning of a larger chunked body is stored.
MAX_STORED_BYTES = MAX_FORM_OVERHEAD_BYTES + max(
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.DOCUMENTS["max_bytes"]
)
# Large files are sent here: to `PresignedUploadView` in uploads/views.py, and to the imports of
# products and their form on the admin site. All check who sends a file before they read it.
STREAMED_REQUESTS = re.compile(
    r"PUT .*/uploads/direct/.*"
    r"|POST /api/(v1/)?products/imports?/?"
    r"|POST /admin/catalog/productimport/add/",
    re.DOTALL,
)
MAX_DISCARDED_BYTES = 128 * 1024 * 1024
# A client must read this much of a streamed response in each period.
PART_BYTES = 64 * 1024
BASE_ENVIRON: Environ = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


class Overloaded(Exception):
    """Too many requests would wait for a thread."""


class Response(NamedTuple):
    """A response; the body of one that Django streams is a file."""

    status: int
    headers: Headers
    body: bytes | IO[bytes]


class ThreadPool:
    """Threads that run requests, and a limit of the requests that run or wait for a thread."""

    def __init__(self, threads: int, name: str, *, max_unanswered: int = 0) -> None:
        self._executor = ThreadPoolExecutor(threads, name)
        self._max_unanswered = max_unanswered
        self._unanswered = 0

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in a thread; raise `Overloaded` if too many requests wait."""
        if self._unanswered >= (self._max_unanswered or MAX_UNANSWERED_REQUESTS):
            raise Overloaded
        self._unanswered += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, function, *arguments)
        finally:
            self._unanswered -= 1


class WsgiThreads:
    """An ASGI application that runs Django's WSGI application in `threads` threads.

    Files of more than `MAX_STORED_BYTES` are read while they arrive, in as many further threads.
    """

    def __init__(
        self,
        application: WsgiApplication,
        *,
        threads: int,
        period_s: float = PERIOD_S,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._application = application
        self._period_s = period_s
        self._threads = ThreadPool(threads, "request")
        self._threads_for_large_bodies = ThreadPool(threads, "large-body")
        self._bodies = BodyStore(deadline_s=deadline_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        environ = build_environ(scope)
        try:
            receiver = BodyReceiver(receive, period_s=self._period_s)
            response = await self._respond(environ, receiver)
        except ClientDisconnected:
            # Also raised for a chunk that the server can't parse; that client reads the response.
            response = refuse(environ, 400)
        except ClientTooSlow:
            response = refuse(environ, 408)
        except (Overloaded, TooManyBodies):
            response = refuse(environ, 503)
        await send_response(response, send, period_s=self._period_s)

    async def _respond(self, environ: Environ, receiver: BodyReceiver) -> Response:
        if int(environ.get("CONTENT_LENGTH") or 0) <= MAX_STORED_BYTES:
            environ |= await self._receive_body(environ, receiver)
            response = await self._run_in(self._threads, environ)
        elif accepts_files(environ):
            stream = BodyStream(receiver, asyncio.get_running_loop())
            environ["wsgi.input"] = io.BufferedReader(stream)
            response = await self._run_in(self._threads_for_large_bodies, environ)
        else:
            response = refuse(environ, 413)
        # Most clients read the response only after they have sent the whole body. One that sent
        # `Expect` waits for the response, and does not send the body of a refused request.
        if environ.get("CONTENT_LENGTH") and "HTTP_EXPECT" not in environ:
            await receiver.discard(max_bytes=MAX_DISCARDED_BYTES)
        return response

    async def _run_in(self, threads: ThreadPool, environ: Environ) -> Response:
        with environ["wsgi.input"]:
            if is_truncated(environ):
                return refuse(environ, 413)
            return await threads.run(self._run, environ)

    async def _receive_body(self, environ: Environ, receiver: BodyReceiver) -> Environ:
        """Store the body; return its entries for the environ, with the length of a chunked one."""
        is_chunked = "HTTP_TRANSFER_ENCODING" in environ
        if not is_chunked and not environ.get("CONTENT_LENGTH"):
            return {"wsgi.input": io.BytesIO()}
        file, size = await self._bodies.receive(receiver, max_bytes=MAX_STORED_BYTES + 1)
        return {"wsgi.input": file} | ({"CONTENT_LENGTH": str(size)} if is_chunked else {})

    def _run(self, environ: Environ) -> Response:
        start: list[Any] = []
        try:
            response = self._application(environ, lambda *arguments: start.extend(arguments))
        except Exception as error:  # Django could not even build its request object
            log.warning("unreadable_request", error=redacted_message(error))
            return refuse(environ | {"CONTENT_TYPE": "", "QUERY_STRING": ""}, 400)
        status, headers = int(start[0].partition(" ")[0]), start[1]
        try:
            body = spool(response) if response.streaming else b"".join(response)
            return Response(status, headers, body)
        finally:
            response.close()


def is_truncated(environ: Environ) -> bool:
    """Return whether only the beginning of a chunked body was stored."""
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    return is_chunked and int(environ["CONTENT_LENGTH"]) > MAX_STORED_BYTES


def accepts_files(environ: Environ) -> bool:
    """Return whether the request is sent to a route that takes large files."""
    request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    return STREAMED_REQUESTS.fullmatch(request) is not None


def build_environ(scope: Scope) -> Environ:
    """Return the WSGI environ of an ASGI scope, without the body."""
    host, port = scope["server"]
    environ = BASE_ENVIRON | {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.url_scheme": scope["scheme"],
    }
    for name, value in scope["headers"]:
        if key := environ_key(name):
            text = value.decode("latin-1")
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{separator}{text}" if key in environ else text
    return environ


@lru_cache(maxsize=256)
def environ_key(name: bytes) -> str:
    """Return the environ's key of a header, or an empty string for a name with an underscore.

    In the environ `X_Forwarded_For` would be the same as `X-Forwarded-For`, which proxies set.
    """
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def start_message(status: int, headers: Headers) -> dict[str, Any]:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": encoded}


def spool(parts: Iterable[bytes]) -> IO[bytes]:
    """Return a streamed response as a file, so that no thread waits for the client to read it."""
    file = create_file()
    try:
        for part in parts:
            file.write(part)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def send_response(response: Response, send: Send, *, period_s: float) -> None:
    """Send a response; give up on a client that reads a streamed one too slowly.

    The server closes the connection of an incomplete response.
    """
    await send(start_message(response.status, response.headers))
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
        return
    is_complete = False
    with response.body as file, suppress(TimeoutError):
        while not is_complete:
            part = file.read(PART_BYTES)
            is_complete = len(part) < PART_BYTES
            async with asyncio.timeout(period_s):
                await send(
                    {"type": "http.response.body", "body": part, "more_body": not is_complete}
                )


def refuse(environ: Environ, status: int) -> Response:
    """Return and log the response to a request that Django does not handle."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = problem_response(status)
        response["Connection"] = "close"
        if status == 503:
            response["Retry-After"] = str(ServiceUnavailable.wait)
        return response

    response = RequestLogMiddleware(respond)(WSGIRequest(environ | {"wsgi.input": io.BytesIO()}))
    return Response(response.status_code, list(response.items()), response.content)
