"""Announce new events and the progress of jobs to the live streams, through Valkey.

An announcement is a hint that may be lost: without it the readers of events find them a moment
later, and progress is only shown by the next announcement.
"""

import json
import os
import time
from collections.abc import Iterable
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

import structlog
from django.db import models, transaction
from django_redis import get_redis_connection

from common.events.kinds import kind_of
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

Message = dict[str, Any]
# Announcements within this time are one message, so that many writes don't slow each other.
MIN_INTERVAL_S = 0.02
# After an error, announcements of this time are dropped.
RETRY_INTERVAL_S = 1.0


def announce_events(events: Iterable[models.Model]) -> None:
    """Announce events after the commit, by the types of their rows."""
    types = {event.action.partition(".")[0] for event in events}  # type: ignore[attr-defined]
    _publish_on_commit({"events": sorted(types)})


def announce_progress(row: models.Model) -> None:
    """Announce that the progress of a job's row has changed; the streams read it from the row."""
    kind = kind_of(row)
    owner_id = kind.get_owner_id(row)
    message = {
        "progress": {
            "action": kind.progress_type,
            "target_type": kind.name,
            "target_id": str(row.pk),
            "company_id": str(kind.get_company_id(row)),
            "audience": kind.audience,
            "owner_id": str(owner_id) if owner_id else None,
        }
    }
    _publish_on_commit(message)


def channel() -> str:
    """Return the channel of this installation: databases of one server share all channels."""
    options = get_redis_connection("default").connection_pool.connection_kwargs
    return f"bureau:{options.get('db', 0)}:live"


def _publish_on_commit(message: Message) -> None:
    transaction.on_commit(partial(_publisher.add, message), robust=True)


class _Publisher:
    """Publishes messages in a thread of its own, so that writers never wait for Valkey."""

    def __init__(self) -> None:
        self._start_lock = Lock()
        self._pid = 0

    def add(self, message: Message) -> None:
        # A forked process does not have the thread of its parent.
        if self._pid != os.getpid():
            self._start()
        self._messages.put(message)

    def _start(self) -> None:
        with self._start_lock:
            if self._pid != os.getpid():
                self._messages: SimpleQueue[Message] = SimpleQueue()
                Thread(target=self._run, daemon=True, name="announcements").start()
                self._pid = os.getpid()

    def _run(self) -> None:
        while True:
            messages = [self._messages.get(), *_take_all(self._messages)]
            try:
                _publish(messages)
                time.sleep(MIN_INTERVAL_S)
            except Exception as error:  # the thread must not end
                log.warning("events_not_announced", error=redacted_message(error))
                time.sleep(RETRY_INTERVAL_S)
                _take_all(self._messages)


_publisher = _Publisher()


def _take_all(messages: SimpleQueue[Message]) -> list[Message]:
    taken = []
    while True:
        try:
            taken.append(messages.get_nowait())
        except Empty:
            return taken


def _publish(messages: list[Message]) -> None:
    """Publish the messages as one: the types of all events, and the progress of each row once."""
    types = {name for message in messages for name in message.get("events", ())}
    progress = {
        message["progress"]["target_id"]: message["progress"]
        for message in messages
        if "progress" in message
    }
    text = json.dumps({"events": sorted(types), "progress": list(progress.values())})
    get_redis_connection("default").publish(channel(), text)
