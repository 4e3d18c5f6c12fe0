"""Receive the bodies of requests, and give up on clients that are too slow.

No thread waits for a client: a request gets a thread when its body is complete. Only a file for
a presigned URL, which can be too large to be stored first, is read by the thread that handles it.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings

Receive = Callable[[], Awaitable[dict[str, Any]]]

# A client must send this many bytes, or the rest of the body, in each period: 1 kB/s.
MIN_BYTES_PER_PERIOD = 10_000
PERIOD_S = 10.0
# A body that is stored first must be complete after this time.
DEADLINE_S = 300.0
MAX_BYTES_IN_MEMORY = 64 * 1024
MAX_BYTES_ON_DISK = 1024**3  # of all incomplete bodies of this process


class ClientTooSlow(Exception):
    """The client sent less than `MIN_BYTES_PER_PERIOD` in a period, or missed the deadline."""


class ClientDisconnected(Exception):
    """The client closed the connection before its body was complete."""


class TooManyBodies(Exception):
    """The incomplete bodies of all clients need more than `MAX_BYTES_ON_DISK`."""


def create_file() -> IO[bytes]:
    """Return a file in memory that moves to disk, without a name, beyond `MAX_BYTES_IN_MEMORY`."""
    return SpooledTemporaryFile(MAX_BYTES_IN_MEMORY, dir=str(settings.VAR_DIR))


class BodyReceiver:
    """The body of one request, as the client sends it."""

    def __init__(self, receive: Receive, *, period_s: float = PERIOD_S) -> None:
        self._receive = receive
        self._period_s = period_s
        self._is_complete = False
        self._start_period()

    def _start_period(self) -> None:
        self._remaining_s = self._period_s
        self._bytes_in_period = 0

    async def read(self) -> bytes:
        """Return the next bytes, or `b""` at the end.

        Raises `ClientTooSlow` or `ClientDisconnected`.
        """
        while not self._is_complete:
            message = await self._wait_for_message()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            self._is_complete = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                self._count(chunk)
                return bytes(chunk)
        return b""

    async def discard(self, *, max_bytes: int) -> None:
        """Read the rest of the body, but stop after `max_bytes` or at a slow or absent client."""
        size = 0
        with suppress(ClientTooSlow, ClientDisconnected):
            while size < max_bytes and (chunk := await self.read()):
                size += len(chunk)

    async def _wait_for_message(self) -> dict[str, Any]:
        """Return the next message; only the time of waiting for the client counts."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._remaining_s):
                return await self._receive()
        except TimeoutError:
            raise ClientTooSlow from None
        finally:
            self._remaining_s -= loop.time() - started

    def _count(self, chunk: bytes) -> None:
        self._bytes_in_period += len(chunk)
        if self._bytes_in_period >= MIN_BYTES_PER_PERIOD:
            self._start_period()


class BodyStore:
    """Stores the bodies of requests: small ones in memory, others in files without a name."""

    def __init__(self, *, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._bytes_on_disk = 0

    async def receive(self, receiver: BodyReceiver, *, max_bytes: int) -> tuple[IO[bytes], int]:
        """Return a body as a file, and its size; only the first `max_bytes` are stored.

        Raises `ClientTooSlow`, `ClientDisconnected` or `TooManyBodies`.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._receive(receiver, max_bytes)
        except TimeoutError:
            raise ClientTooSlow from None

    async def _receive(self, receiver: BodyReceiver, max_bytes: int) -> tuple[IO[bytes], int]:
        file = create_file()
        size = size_on_disk = 0
        try:
            while size < max_bytes and (chunk := await receiver.read()):
                chunk = chunk[: max_bytes - size]
                size += len(chunk)
                if size > MAX_BYTES_IN_MEMORY:
                    self._reserve(size - size_on_disk)
                    size_on_disk = size
                file.write(chunk)
        except BaseException:
            file.close()
            raise
        finally:
            self._bytes_on_disk -= size_on_disk
        file.seek(0)
        return file, size

    def _reserve(self, size: int) -> None:
        if self._bytes_on_disk + size > MAX_BYTES_ON_DISK:
            raise TooManyBodies
        self._bytes_on_disk += size


class BodyStream(io.RawIOBase):
    """A body that a thread reads while the client sends it.

    Reads raise `OSError` if the client is too slow or disconnects.
    """

    def __init__(self, receiver: BodyReceiver, loop: asyncio.AbstractEventLoop) -> None:
        self._receiver = receiver
        self._loop = loop
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._unread:
            self._unread = memoryview(self._read_chunk())
        count = min(len(buffer), len(self._unread))
        buffer[:count], self._unread = self._unread[:count], self._unread[count:]
        return count

    def _read_chunk(self) -> bytes:
        try:
            return asyncio.run_coroutine_threadsafe(self._receiver.read(), self._loop).result()
        except (ClientTooSlow, ClientDisconnected) as error:
            raise OSError(type(error).__name__) from None
