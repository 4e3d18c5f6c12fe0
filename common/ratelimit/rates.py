"""Rates as the settings spell them: `600/minute,10000/hour`, or `off`."""

import re
from dataclasses import dataclass
from functools import lru_cache

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
# Each counted request is kept until it leaves its window, so a limit is also a size.
LARGEST = 100_000
OFF = "off"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` requests in any `seconds`."""

    limit: int
    seconds: int


@lru_cache(maxsize=128)
def parse_rates(text: str) -> tuple[Rate, ...]:
    """Read `600/minute,10000/hour`; `off` is no rate at all. Raises `ValueError`, a sentence."""
    if text.strip().lower() == OFF:
        return ()
    rates = tuple(_rate(part) for part in text.split(","))
    if len({rate.seconds for rate in rates}) < len(rates):
        raise ValueError(f"{text!r} names one unit twice.")
    return rates


def per(count: str | int, unit: str) -> tuple[Rate, ...]:
    """Read a bare number, `10`, as so many in each `unit`; `off` is no rate at all."""
    text = str(count).strip().lower()
    return () if text == OFF else (_rate(f"{text}/{unit}"),)


def halved(rates: tuple[Rate, ...]) -> tuple[Rate, ...]:
    return tuple(Rate((rate.limit + 1) // 2, rate.seconds) for rate in rates)


def _rate(text: str) -> Rate:
    match = re.fullmatch(r"0*([1-9]\d{0,5})/([a-z]+)", text.strip().lower(), re.ASCII)
    if match is None or match[2] not in UNITS:
        raise ValueError(
            f"{text.strip()!r} is no rate. Write such as 600/minute,10000/hour (second, minute, "
            "hour, day), or off."
        )
    if int(match[1]) > LARGEST:
        raise ValueError(f"{text.strip()!r} is more than {LARGEST}; for no limit, write off.")
    return Rate(int(match[1]), UNITS[match[2]])
