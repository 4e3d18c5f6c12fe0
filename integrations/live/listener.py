"""Receives announcements from Valkey, for the feed."""

import json
import time
from contextlib import suppress
from threading import Event as Signal
from threading import Thread
from typing import Any

import structlog
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from common.events.announcements import channel
from common.heartbeats import LIVE, beat
from common.redaction import redacted_message
from integrations.live.feed import Feed

log = structlog.get_logger(__name__)

RETRY_INTERVAL_S = 1.0
# A connection that brings nothing for this time, not even the answer to a ping, is replaced.
PING_INTERVAL_S = 5.0


class Listener:
    """A thread that subscribes to the announcements; it reconnects when Valkey was down."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._stopped = Signal()
        self._thread = Thread(target=self._run, daemon=True, name="listener")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except (RedisError, OSError) as error:
                if not self._stopped.wait(RETRY_INTERVAL_S):
                    log.warning("announcements_not_received", error=redacted_message(error))

    def _listen(self) -> None:
        with get_redis_connection("default").pubsub() as subscription:
            subscription.subscribe(channel())
            is_answered = True
            while is_answered and not self._stopped.is_set():
                beat(LIVE, lifetime_s=3 * PING_INTERVAL_S)
                subscription.ping()
                is_answered = self._receive(subscription, until=time.monotonic() + PING_INTERVAL_S)

    def _receive(self, subscription: Any, *, until: float) -> bool:
        """Pass on what arrives until a time; return whether anything did."""
        is_answered = False
        while not self._stopped.is_set() and (timeout_s := until - time.monotonic()) > 0:
            message = subscription.get_message(timeout=timeout_s)
            is_answered |= message is not None
            if message and message["type"] == "message":
                self._pass_on(message["data"])
        return is_answered

    def _pass_on(self, data: bytes) -> None:
        # Another release may send other messages.
        with suppress(ValueError, KeyError, TypeError):
            message = json.loads(data)
            self._feed.announce(message["events"], message["progress"])
