from asyncio import Event as Signal
from asyncio import Task
from collections import deque
from collections.abc import Iterable
from uuid import UUID

from accounts.models import User
from common.events.models import Event
from common.events.type_patterns import matches
from common.events.visibility import Visibility
from integrations.live.credentials import Credential
from integrations.live.positions import START

# A client that has not read these is closed, and resumes by `Last-Event-ID`.
MAX_WAITING_FRAMES = 1_000
MAX_WAITING_BYTES = 2_000_000
MAX_CHUNK_BYTES = 64 * 1024


class Stream:
    """The stream of one client: what it shows, and the frames that wait to be sent.

    patterns: the types of the events that the client wants; `None` for all.
    is_resumed: whether the client wants to read on after the event `since`, even if that is not
        known; otherwise it only gets new events.
    start: the position after which new events are delivered; set when the stream is admitted.
    sent_at: when something was last sent, by `time.monotonic`; `sender` is the task that waits for
        the client to accept it.
    close_reason: why the stream ends; empty while it is open.

    `push`, `close` and `take` are called in the event loop. The feed's thread sets `user`.
    """

    def __init__(
        self,
        credential: Credential,
        user: User,
        *,
        patterns: tuple[str, ...] | None,
        since: UUID | None,
        is_resumed: bool,
    ) -> None:
        self.credential = credential
        self.user = user
        self.patterns = patterns
        self.since = since
        self.is_resumed = is_resumed
        self.start = START
        self.close_reason = ""
        self.signal = Signal()
        self.sent_at = 0.0
        self.sender: Task[None] | None = None
        self._frames: deque[bytes] = deque()
        self._bytes = 0

    @property
    def user(self) -> User:
        return self._user

    @user.setter
    def user(self, user: User) -> None:
        self._user = user
        self.visibility = Visibility.of(user)

    @property
    def is_open(self) -> bool:
        return not self.close_reason

    def wants(self, event: Event) -> bool:
        """Return whether the client may see the event and asked for its type."""
        is_wanted = self.patterns is None or matches(event.action, self.patterns)
        return is_wanted and self.visibility.includes(event)

    def push(self, frames: Iterable[bytes]) -> None:
        """Add frames, or close the stream if too many wait."""
        for frame in frames:
            self._frames.append(frame)
            self._bytes += len(frame)
        if len(self._frames) > MAX_WAITING_FRAMES or self._bytes > MAX_WAITING_BYTES:
            self.close("slow")
        self.signal.set()

    def close(self, reason: str) -> None:
        """End the stream; what waits is not sent, and a client that reconnects reads it then."""
        self.close_reason = self.close_reason or reason
        self._frames.clear()
        self._bytes = 0
        self.signal.set()

    def take(self) -> bytes:
        """Return the next frames as one chunk; nothing if none wait."""
        chunk: list[bytes] = []
        size = 0
        while self._frames and size < MAX_CHUNK_BYTES:
            frame = self._frames.popleft()
            size += len(frame)
            chunk.append(frame)
        self._bytes -= size
        if not self._frames:
            self.signal.clear()
        return b"".join(chunk)
