from uuid import UUID

from uuid_utils import compat


def uuid7() -> UUID:
    """Return a new UUIDv7; these ids sort by their time of creation (RFC 9562)."""
    return compat.uuid7()
