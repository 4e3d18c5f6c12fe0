"""The errors of one file's transfer; their messages are shown to users."""


class TransferError(Exception):
    """The file was not copied; the message gives the reason.

    is_transient: whether another attempt may succeed.
    """

    is_transient = False


class SourceError(TransferError):
    """The source cannot be read, or is not a regular file."""


class NotRegularFile(SourceError):
    """The source is a link, pipe, socket or device, which is skipped."""


class SourceChanged(SourceError):
    """The source file changed while it was read."""

    is_transient = True


class StoreError(TransferError):
    """The store rejects the object."""


class AccessDenied(StoreError):
    """The store's policy does not allow this request; it may allow others."""


class StoreBusy(StoreError):
    """The store cannot accept the object now."""

    is_transient = True


class ContentTooLarge(StoreError):
    """The content has more bytes than allowed."""


class TransferCancelled(Exception):
    """The session was cancelled or claimed by another run."""
