"""Parse the rates in the settings, such as `600/minute,10000/hour` or `off`."""

import re
from dataclasses import dataclass
from functools import lru_cache

UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
# A window stores the time of each request it counts, so the limit bounds its memory.
MAX_LIMIT = 100_000
OFF = "off"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` requests in any period of `seconds`."""

    limit: int
    seconds: int


@lru_cache(maxsize=128)
def parse_rates(text: str) -> tuple[Rate, ...]:
    """Parse `600/minute,10000/hour`; `off` gives no rates. Raise `ValueError` with a sentence."""
    if text.strip().lower() == OFF:
        return ()
    rates = tuple(_parse_rate(part) for part in text.split(","))
    if len({rate.seconds for rate in rates}) < len(rates):
        raise ValueError(f"{text!r} has two rates with the same unit.")
    return rates


def parse_requests_per(count: str | int, unit: str) -> tuple[Rate, ...]:
    """Parse a bare `count` of requests per `unit`; `off` gives no rates."""
    text = str(count).strip().lower()
    return () if text == OFF else (_parse_rate(f"{text}/{unit}"),)


def halve_rates(rates: tuple[Rate, ...]) -> tuple[Rate, ...]:
    """Return rates with half the limits, rounded up."""
    return tuple(Rate((rate.limit + 1) // 2, rate.seconds) for rate in rates)


def _parse_rate(text: str) -> Rate:
    match = re.fullmatch(r"0*([1-9]\d{0,5})/([a-z]+)", text.strip().lower(), re.ASCII)
    if match is None or match[2] not in UNIT_SECONDS:
        raise ValueError(
            f"{text.strip()!r} is not a rate. Write for example 600/minute,10000/hour (units:"
            " second, minute, hour, day), or off."
        )
    if int(match[1]) > MAX_LIMIT:
        raise ValueError(f"{text.strip()!r} is more than {MAX_LIMIT}; for no limit, write off.")
    return Rate(int(match[1]), UNIT_SECONDS[match[2]])
