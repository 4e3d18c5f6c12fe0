"""The `Retry-After` header (RFC 9110, 10.2.3)."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 86_400.0


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that `Retry-After` or `retry-after-ms` asks for, at most a day.

    `None` without a valid header. A date is compared with the response's own `Date`, so that a
    wrong local clock has no effect; `now` is used only without `Date`.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER_S)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and (until := _timestamp(value)) is not None:
        seconds = max(0.0, until - (_timestamp(headers.get("date")) or now))
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER_S)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _timestamp(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value or "").timestamp()
    except (ValueError, OverflowError):
        return None
