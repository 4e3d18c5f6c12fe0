"""What a store takes, hashed as it is read, and what it then knows of it."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol
from uuid import UUID

from uploads.transfer.errors import TooLarge

Bytes = bytes | memoryview
_kept = threading.local()


def thread_buffer(size: int) -> memoryview:
    """The calling thread's own, for memory that is new each time costs more than reading does.

    It holds what was read until the same thread asks again.
    """
    buffer = getattr(_kept, "buffer", None)
    if buffer is None or len(buffer) < size:
        _kept.buffer = buffer = memoryview(bytearray(size))
    return buffer[:size]


class Content(Protocol):
    """What a store takes.

    size: in bytes; of what is received, how much has come.
    mtime_ns: the file's, in nanoseconds since 1970; None where there is no file.
    sha256: 64 hexadecimal digits, once `chunks` has come to its end.
    """

    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int | None: ...
    @property
    def sha256(self) -> str: ...

    def chunks(self, size: int) -> Iterator[Bytes]:
        """All bytes from the beginning, `size` at once, the last fewer; a chunk is valid until
        the next.

        Raises a `SourceError` at the end, unless what was read is one state of the file. Who
        makes the object visible therefore comes to the end first.
        """

    def check(self) -> None:
        """Raise `Stopped` where nobody wants the object any more."""


class Stored(NamedTuple):
    """An object, as the store knows it without reading it.

    mtime_ns: of the file that it was made of; None where that is not known.
    sha256: as it was computed when the object was put; "" where that is not known.
    put_by: what put it; None where that is not known.
    """

    size: int
    mtime_ns: int | None
    sha256: str
    put_by: UUID | None


class Received:
    """What somebody sends, up to `limit` bytes; `TooLarge` at the first byte more."""

    mtime_ns = None

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._read: Callable[[int], bytes] = stream.read
        self._limit = limit
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self._filled(size):
            self.size += len(chunk)
            if self.size > self._limit:
                raise TooLarge(f"There are more than {self._limit} bytes.")
            self._hash.update(chunk)
            yield chunk

    def _filled(self, size: int) -> bytes:
        """A whole chunk, where the stream gives less at once than was asked for."""
        parts, missing = [], size
        while missing and (part := self._read(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def check(self) -> None:
        """Who sends it wants it."""
