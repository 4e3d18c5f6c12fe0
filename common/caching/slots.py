"""The slots of the byte cache, whose number and size bound its memory.

Each stored response has one slot, which its key determines. Storing a response deletes the one that
had the slot. So the cache never holds more than all slots together, whatever clients request.
"""

from functools import cache
from zlib import crc32

from django.conf import settings

# For a row, a long row, a page of 10, a page of 100, and a page of 100 with long descriptions.
SLOT_SIZES_BYTES = (2_048, 8_192, 32_768, 131_072, 1_048_576)
# What Redis needs for a response in addition to its bytes: two keys of up to 250 characters.
ENTRY_OVERHEAD_BYTES = 512
SLOT_PREFIX = "bureau:bytes:slot"


def find_slot(key: str, size: int) -> str:
    """Return the Redis key of the slot for a response of `size` bytes, or "" if none fits."""
    for slot_size in SLOT_SIZES_BYTES:
        if size + ENTRY_OVERHEAD_BYTES <= slot_size:
            number = crc32(key.encode()) % count_slots(slot_size, settings.BYTE_CACHE_MAX_BYTES)
            return f"{SLOT_PREFIX}:{slot_size}:{number}"
    return ""


@cache
def count_slots(slot_size: int, max_bytes: int) -> int:
    """Return the number of slots; each size has the same share of `max_bytes`."""
    return max(1, max_bytes // len(SLOT_SIZES_BYTES) // slot_size)
