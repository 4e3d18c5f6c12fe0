"""The one reader of the event table in this process: it delivers new events to all streams."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event as Signal
from threading import Lock, Thread
from typing import Any
from uuid import UUID

import structlog
from django.db import Error, connection

from common.events.models import Event
from common.events.querysets import OldestRunningTransaction
from common.redaction import redacted_message
from integrations.live.credentials import find_users
from integrations.live.positions import START, Position, find_newest
from integrations.live.rendering import render
from integrations.live.stream import Stream

log = structlog.get_logger(__name__)

BATCH_EVENTS = 50
# Announcements make the feed read at once; without them it finds events by itself.
POLL_INTERVAL_S = 0.5
# While an event waits for an older transaction to end; doubled each time.
MIN_POLL_INTERVAL_S = 0.01
CREDENTIAL_CHECK_INTERVAL_S = 30.0
STOP_TIMEOUT_S = 2.0
# Events of these rows may end streams.
ACCOUNT_TYPES = frozenset({"user", "login", "company"})


class Feed:
    """Reads new events in a thread, in their order, and delivers them in the event loop.

    The thread alone adds streams and moves the position on, so a stream misses no event between
    the history that it reads and its first new event, and none comes twice.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._signal = Signal()
        self._joining: list[tuple[Stream, asyncio.Future[None]]] = []
        self._streams: set[Stream] = set()
        self._announced_types: set[str] = set()
        self._progress: dict[str, Event] = {}
        self._position = START
        self._checked_at = 0.0
        self._interval_s = MIN_POLL_INTERVAL_S
        self._is_stopped = False
        self._thread = Thread(target=self._run, daemon=True, name="feed")

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        self._is_stopped = True
        self._signal.set()
        self._thread.join(STOP_TIMEOUT_S)

    async def join(self, stream: Stream) -> None:
        """Deliver new events to the stream from now on: those after its `start`."""
        is_admitted: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._joining.append((stream, is_admitted))
        self._signal.set()
        await is_admitted

    def announce(self, types: Iterable[str], progress: Iterable[dict[str, Any]]) -> None:
        """Read new events now; `types` are those of their rows. Called from any thread."""
        with self._lock:
            self._announced_types.update(types)
            for fields in progress:
                self._progress[fields["target_id"]] = _progress_event(fields)
        self._signal.set()

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                interval_s = self._iterate()
            except Error as error:
                log.warning("events_not_read", error=redacted_message(error))
                interval_s = POLL_INTERVAL_S
            except Exception:
                log.exception("events_not_delivered")
                interval_s = POLL_INTERVAL_S
            finally:
                connection.close()
            if self._signal.wait(interval_s):
                self._signal.clear()

    def _iterate(self) -> float | None:
        """Do what is due, and return the seconds after which to look again."""
        with self._lock:
            types, self._announced_types = self._announced_types, set()
            progress, self._progress = list(self._progress.values()), {}
        self._streams = {stream for stream in self._streams if stream.is_open}
        has_joined = self._admit()
        if not self._streams:
            return None
        events, are_waiting = self._read()
        types.update(event.action.partition(".")[0] for event in events)
        self._check_credentials(is_urgent=has_joined or bool(types & ACCOUNT_TYPES))
        self._deliver([*events, *progress])
        if events:
            self._position = Position.of(events[-1])
        if len(events) == BATCH_EVENTS:
            return 0
        # An older transaction may end at once, or in minutes.
        longer_s = min(2 * self._interval_s, POLL_INTERVAL_S)
        self._interval_s = longer_s if are_waiting else MIN_POLL_INTERVAL_S
        return longer_s if are_waiting else POLL_INTERVAL_S

    def _admit(self) -> bool:
        """Add the streams that wait to join, and return whether there were any."""
        with self._lock:
            joining, self._joining = self._joining, []
        if not joining:
            return False
        try:
            if not self._streams:
                self._position = find_newest()
        except Error:
            with self._lock:
                self._joining += joining
            raise
        for stream, future in joining:
            stream.start = self._position
            self._streams.add(stream)
            self._in_loop(_resolve, future)
        return True

    def _read(self) -> tuple[list[Event], bool]:
        """Return the next events, and whether more wait for an older transaction to end."""
        events = Event.objects.after(self._position).order_by("xid", "sequence")
        rows = list(events.annotate(horizon=OldestRunningTransaction())[:BATCH_EVENTS])
        settled = [event for event in rows if event.xid < event.horizon]
        return settled, len(settled) < len(rows)

    def _check_credentials(self, *, is_urgent: bool) -> None:
        """Close the streams whose credential is no longer valid, before they get more events."""
        now = time.monotonic()
        if not is_urgent and now < self._checked_at + CREDENTIAL_CHECK_INTERVAL_S:
            return
        users = find_users(stream.credential for stream in self._streams)
        self._checked_at = now
        for stream in list(self._streams):
            if stream.credential in users:
                stream.user = users[stream.credential]
            else:
                self._streams.remove(stream)
                self._in_loop(stream.close, "signed_out")

    def _deliver(self, events: Sequence[Event]) -> None:
        if events and (frames := render(self._streams, events)):
            self._in_loop(_push_all, frames)

    def _in_loop(self, function: Callable[..., object], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed: the process ends
            self._loop.call_soon_threadsafe(function, *arguments)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():  # it may have waited too long
        future.set_result(None)


def _push_all(frames: dict[Stream, list[bytes]]) -> None:
    for stream, stream_frames in frames.items():
        if stream.is_open:
            stream.push(stream_frames)


def _progress_event(fields: dict[str, Any]) -> Event:
    """Return an event that is not stored, for a row whose progress has changed."""
    ids = {name: UUID(fields[name]) for name in ("company_id", "owner_id") if fields[name]}
    return Event(occurred_at=datetime.now(UTC), **{**fields, **ids})
