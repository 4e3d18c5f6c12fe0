from abc import abstractmethod
from uuid import UUID

from django.core.files.storage import Storage

from uploads.transfer.content import Content, Stored


class Store(Storage):
    """One bucket of one company. Its methods raise `StoreError` and may be called by threads."""

    @abstractmethod
    def check(self) -> None:
        """Raise `StoreError` where the bucket can't be used, `StoreBusy` where not now."""

    @abstractmethod
    def is_empty(self, prefix: str) -> bool:
        """Whether there is no object below the prefix."""

    @abstractmethod
    def find(self, key: str) -> Stored | None:
        """The object under the key, if there is one."""

    @abstractmethod
    def sha256_of(self, key: str) -> str:
        """The sum of what the store really holds; "" where there is no such object."""

    @abstractmethod
    def put(self, key: str, content: Content, *, by: UUID | None = None) -> None:
        """Store an object whole, or leave what was there, whatever happens meanwhile.

        `by` says what puts it, and `discard_leftovers` knows it again.
        """

    @abstractmethod
    def discard_leftovers(self, by: UUID) -> None:
        """Remove what a killed process left of objects that it was about to put."""

    def presigned_put(self, key: str, *, seconds: int) -> str:
        """A URL to which anybody may PUT the object; "" where the store has no such thing."""
        return ""
