"""How a request gets to the provider: from this process, or by a courier that outlives it."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from common.ai.provider.responses import Reply, did_not_answer
from common.ai.types import Usage
from common.subprocesses import ROOT

if TYPE_CHECKING:
    import openai

READY, RECORDED = b"ready\n", b"recorded\n"
LONGEST_LINE = 2**26  # bytes of an order or a reply
STARTING = 30.0  # seconds that a courier may take to start
TRIES = 3

_DIED = Reply("error", "again", error="was asked, but the process that asked it has died")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask; `timeout` is in seconds for each request."""

    api_key: str = field(repr=False)
    base_url: str
    timeout: float


class Line(Protocol):
    """A channel for one request."""

    async def ask(self, params: dict[str, Any], *, request_id: str) -> Reply:
        """One request with the body `params`; see `provider.ask`."""
        ...

    def recorded(self) -> None:
        """The reply's cost is put down: nobody else need do it."""
        ...


Lines = Callable[[], AbstractAsyncContextManager[Line]]


@asynccontextmanager
async def lines(endpoint: Endpoint, command: str) -> AsyncIterator[Lines]:
    """What opens a line for each request.

    With `command`, requests go by a courier, and whatever becomes of this process, and however
    little it waits, that management command is told what answers cost that it did not take.
    """
    if command:
        yield partial(_courier(command).line, endpoint)
        return
    from common.ai.provider.client import (
        connect,  # 50 MB that a worker with a courier need not have
    )

    async with connect(**asdict(endpoint)) as client:
        yield partial(nullcontext, _Direct(client, endpoint.timeout))


class _Direct:
    def __init__(self, client: "openai.AsyncOpenAI", timeout: float) -> None:
        self._client, self._timeout = client, timeout

    async def ask(self, params: dict[str, Any], *, request_id: str) -> Reply:
        from common.ai.provider.client import ask

        return await ask(self._client, params, self._timeout, request_id=request_id)

    def recorded(self) -> None:
        """Nobody else could."""


class _ByCourier:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, endpoint: Endpoint
    ) -> None:
        self._reader, self._writer, self._endpoint = reader, writer, endpoint
        self._replied = False

    async def ask(self, params: dict[str, Any], *, request_id: str) -> Reply:
        endpoint = asdict(self._endpoint)
        order = {"endpoint": endpoint, "params": params, "request_id": request_id}
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                self._writer.write(json.dumps(order).encode() + b"\n")
                answer = await self._reader.readline()
        except TimeoutError:
            return did_not_answer(self._endpoint.timeout)
        except ConnectionError:
            return _DIED
        self._replied = answer.endswith(b"\n")
        return _reply(json.loads(answer)) if self._replied else _DIED

    def recorded(self) -> None:
        if self._replied:
            self._writer.write(RECORDED)


def _reply(fields: dict[str, Any]) -> Reply:
    return Reply(**{**fields, "usage": Usage(**fields["usage"])})


class _OwnCourier:
    """This process's courier, started when it is needed, and again where it has died."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._socket: socket.socket | None = None
        self._starting = Lock()
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def _leave_to_parent(self) -> None:
        """While any process holds the socket, the courier believes that its worker lives."""
        if self._socket:
            self._socket.close()
        self._socket, self._starting = None, Lock()

    @asynccontextmanager
    async def line(self, endpoint: Endpoint) -> AsyncIterator[Line]:
        reader, writer = await self._opened()
        try:
            yield _ByCourier(reader, writer, endpoint)
        finally:
            await _close(writer)

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(TRIES):
            ours, theirs = socket.socketpair()
            used = self._hand_over(theirs)
            reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(STARTING):
                    if await reader.readline() == READY:
                        return reader, writer
            await _close(writer)
            self._give_up(used)
        raise RuntimeError("the process that asks the provider does not start")

    def _hand_over(self, theirs: socket.socket) -> socket.socket:
        with self._starting, theirs:
            if self._socket is None:
                self._socket = _started(self._command)
            with suppress(ConnectionError):  # the waiting caller will notice
                socket.send_fds(self._socket, [b"."], [theirs.fileno()])
            return self._socket

    def _give_up(self, used: socket.socket) -> None:
        """Of a courier that does not answer; should it live, it sees its requests to their end."""
        with self._starting:
            used.close()
            if self._socket is used:
                self._socket = None


_courier = cache(_OwnCourier)


def _started(command: str) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.run(  # noqa: S603 - this interpreter and this package
            [sys.executable, "-m", "common.ai.courier", command, str(os.getpid())],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
            check=True,
        )
    return ours


async def _close(writer: asyncio.StreamWriter) -> None:
    """At once: an order that is not written to its end is none."""
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
