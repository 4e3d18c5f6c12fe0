from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class SessionCounters:
    """The counters of a session; each field is named after its column of `Session`."""

    total_files: int = 0
    files_uploaded: int = 0
    files_failed: int = 0
    files_skipped: int = 0
    total_size_bytes: int = 0
    bytes_uploaded: int = 0


COUNTER_FIELDS = tuple(field.name for field in fields(SessionCounters))
