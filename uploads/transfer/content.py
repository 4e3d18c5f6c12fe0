"""The content of new objects, and the metadata of stored ones."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol
from uuid import UUID

from uploads.transfer.errors import ContentTooLarge

Bytes = bytes | memoryview
_thread_state = threading.local()


def thread_buffer(size: int) -> memoryview:
    """Return the calling thread's buffer of `size` bytes.

    Its content is valid until the same thread calls this again. Allocating a new buffer would take
    longer than reading into it.
    """
    buffer = getattr(_thread_state, "buffer", None)
    if buffer is None or len(buffer) < size:
        _thread_state.buffer = buffer = memoryview(bytearray(size))
    return buffer[:size]


class Content(Protocol):
    """Bytes for a store to put under a key.

    size: in bytes; for received content, the bytes received so far.
    mtime_ns: of the source file, in nanoseconds since 1970; None if there is no file.
    sha256: 64 hexadecimal digits, available once `chunks` is exhausted.
    """

    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int | None: ...
    @property
    def sha256(self) -> str: ...

    def chunks(self, size: int) -> Iterator[Bytes]:
        """Yield all bytes, `size` at a time; a chunk is valid until the next one is read.

        Raises a `SourceError` at the end if the file changed while it was read. So a store must
        exhaust the chunks before it makes the object visible.
        """

    def check(self) -> None:
        """Raise if the object must not be stored, such as `TransferCancelled`."""


class StoredObject(NamedTuple):
    """An object's metadata, known without reading its content.

    mtime_ns: of the source file; None if unknown.
    sha256: as computed when the object was put; "" if unknown.
    owner_id: the id of the session or presigned upload that put it; None if unknown.
    version: differs from that of other objects with this key; "" for a very new object if the
        store's clock is too coarse to tell it from its predecessor.
    """

    size: int
    mtime_ns: int | None
    sha256: str
    owner_id: UUID | None
    version: str = ""


class ReceivedContent:
    """A stream from a client; raises `ContentTooLarge` after more than `max_bytes`."""

    mtime_ns = None

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._read: Callable[[int], bytes] = stream.read
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self._read_chunk(size):
            self.size += len(chunk)
            if self.size > self._max_bytes:
                raise ContentTooLarge(f"The content has more than {self._max_bytes} bytes.")
            self._hash.update(chunk)
            yield chunk

    def _read_chunk(self, size: int) -> bytes:
        """Read `size` bytes, in several reads if the stream returns fewer at a time."""
        parts, missing = [], size
        while missing and (part := self._read(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def check(self) -> None:
        """Accept the object; there is no session that could be cancelled."""
