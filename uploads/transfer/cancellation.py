import threading

from uploads.transfer.errors import TransferCancelled


class CancellationToken:
    """A flag that stops the threads of a session; set once, read by all of them."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def is_cancelled(self) -> bool:
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise `TransferCancelled` if the token is cancelled."""
        if self._event.is_set():
            raise TransferCancelled

    def wait(self, seconds: float) -> bool:
        """Wait until the token is cancelled, at most `seconds`; return whether it is."""
        return self._event.wait(seconds)
