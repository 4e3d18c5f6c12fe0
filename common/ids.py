from datetime import datetime
from uuid import UUID

from uuid_utils import compat


def uuid7() -> UUID:
    """Return a new UUIDv7; these ids sort by their time of creation (RFC 9562)."""
    return compat.uuid7()


def first_uuid7_of(time: datetime) -> UUID:
    """Return the smallest UUIDv7 that can be created at `time`: later ids are larger."""
    return UUID(int=int(time.timestamp() * 1000) << 80)
