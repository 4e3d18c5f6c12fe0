"""UUIDv7: ids that sort by the time they were made (RFC 9562)."""

from uuid import UUID

from uuid_utils import compat


def uuid7() -> UUID:
    return compat.uuid7()
