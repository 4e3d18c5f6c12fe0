"""The table of events: facts, each written in the transaction that made it true.

`record` writes; webhooks, the live stream and the audit log only read.
"""

from common.events.announcements import announce_progress
from common.events.kinds import Audience, EventKind
from common.events.recording import find_changes, record, record_all

__all__ = [
    "Audience",
    "EventKind",
    "announce_progress",
    "find_changes",
    "record",
    "record_all",
]
