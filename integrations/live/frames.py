"""Server-sent events as bytes: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

import random
from typing import Any

from common.api.renderers import JSONRenderer

# A client reconnects after this time, at random so that not all do it at once.
MIN_RETRY_MS, MAX_RETRY_MS = 1_000, 3_000
HEARTBEAT = b": keep-alive\n\n"
RESET = {
    "code": "history_gone",
    "detail": (
        "The event after which you want to read on is unknown or no longer kept. Load what you "
        "need from the lists; the stream goes on with what happens from now on."
    ),
}


def start() -> bytes:
    """Return the first bytes of a stream."""
    return b": connected\nretry: %d\n\n" % random.randint(MIN_RETRY_MS, MAX_RETRY_MS)


def reset() -> bytes:
    """Return what a client reads whose history is gone."""
    return _frame("reset", RESET)


def event(document: dict[str, Any]) -> bytes:
    """Return an event; its id is the client's `Last-Event-ID` if it reconnects."""
    return b"id: %s\n" % str(document["id"]).encode() + _frame(document["type"], document)


def progress(document: dict[str, Any]) -> bytes:
    """Return a job's progress. It has no id: a client that reconnects does not read on from it."""
    names = ("type", "occurred_at", "company_id", "targets", "data")
    return _frame(document["type"], {name: document[name] for name in names})


def _frame(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), JSONRenderer().render(data))
