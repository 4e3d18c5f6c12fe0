from abc import abstractmethod
from uuid import UUID

from django.core.files.storage import Storage

from uploads.transfer.content import Content, StoredObject


class Store(Storage):
    """One bucket of one company; methods raise `StoreError` and are thread-safe."""

    @abstractmethod
    def check(self) -> None:
        """Raise `StoreError` if the bucket cannot be used, `StoreBusy` if not now."""

    @abstractmethod
    def is_empty(self, prefix: str) -> bool:
        """Return whether there are no objects below the prefix."""

    @abstractmethod
    def find(self, key: str) -> StoredObject | None:
        """Return the object with this key, or None."""

    @abstractmethod
    def sha256_of(self, key: str) -> str:
        """Return the SHA-256 of the object's content, or "" if there is no such object."""

    @abstractmethod
    def put(self, key: str, content: Content, *, owner_id: UUID | None = None) -> None:
        """Store a complete object; on any failure the key keeps its previous object.

        `owner_id` is the session or presigned upload that puts it, for `discard_leftovers`.
        """

    @abstractmethod
    def discard_leftovers(self, owner_id: UUID) -> None:
        """Remove the incomplete objects that a killed process of this owner left."""

    def presigned_put(self, key: str, *, seconds: int) -> str:
        """Return a URL that accepts the object by PUT, or "" if the store has no such URLs."""
        return ""
