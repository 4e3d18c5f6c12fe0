import threading

from uploads.transfer.errors import Stopped


class Stop:
    """Told by one thread and asked by many: whether a session is to go on."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def tell(self) -> None:
        self._told.set()

    @property
    def is_told(self) -> bool:
        return self._told.is_set()

    def check(self) -> None:
        """Raise `Stopped` if it was told."""
        if self._told.is_set():
            raise Stopped

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is told; whether it was."""
        return self._told.wait(seconds)
