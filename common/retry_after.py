"""What a server says of when to come back (RFC 9110, 10.2.3)."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 86_400.0  # seconds; what asks for more than a day is a mistake


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that `Retry-After` (or `retry-after-ms`) asks for, None without a usable one.

    A date is taken against the response's own `Date`, so that a wrong clock here does no harm.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and (until := _date(value)) is not None:
        seconds = max(0.0, until - (_date(headers.get("date")) or now))
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value or "").timestamp()
    except (ValueError, OverflowError):
        return None
