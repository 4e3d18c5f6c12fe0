"""What may go wrong with one file, in sentences that its owner is shown."""


class TransferError(Exception):
    """This file did not arrive; the message says why.

    `is_passing` says that another try may do better.
    """

    is_passing = False


class SourceError(TransferError):
    """The file can't be read, or is none."""


class SourceChanged(SourceError):
    """The file became another while it was read."""

    is_passing = True


class StoreError(TransferError):
    """The store does not take the object."""


class StoreBusy(StoreError):
    """The store does not take the object now."""

    is_passing = True


class TooLarge(StoreError):
    """More bytes came than were allowed."""


class Stopped(Exception):
    """The session was cancelled, or belongs to another run."""
