"""What is counted, and what became of a request."""

from dataclasses import dataclass

from common.ratelimit.rates import Rate


@dataclass(frozen=True, slots=True)
class Window:
    """A rate, and the name (`key`) of the log of what counts towards it.

    With an `entry`, one request counts for all that follow it: it sets a pass of that name, as
    long-lived as the window, and who has the pass is let by. So does a mark named `known`.
    """

    key: str
    rate: Rate
    entry: str = ""
    known: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How many requests a window holds now, and in how many microseconds it takes one more.

    One that is not full says when the oldest of its requests leaves it.
    """

    window: Window
    count: int
    microseconds: int

    @property
    def limit(self) -> int:
        return self.window.rate.limit

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.count)

    @property
    def seconds(self) -> int:
        return -(-self.microseconds // 1_000_000)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request was counted, and the windows that had a say in it."""

    allowed: bool
    readings: tuple[Reading, ...]
    windows: tuple[Window, ...]

    @property
    def tightest(self) -> Reading:
        """Of the full windows the one that lasts longest; else the one with the least left."""
        return min(self.readings, key=lambda reading: (reading.remaining, -reading.seconds))

    @property
    def retry_after(self) -> int:
        """Seconds until a refused request would pass, rounded up."""
        return self.tightest.seconds

    @property
    def headers(self) -> dict[str, str]:
        """`RateLimit-*` of the tightest window, as in draft-ietf-httpapi-ratelimit-headers-07.

        `RateLimit-Reset` is when the window takes one more request than `RateLimit-Remaining`.
        """
        tightest = self.tightest
        rates = dict.fromkeys(window.rate for window in self.windows)
        return {
            "RateLimit-Limit": str(tightest.limit),
            "RateLimit-Remaining": str(tightest.remaining),
            "RateLimit-Reset": str(tightest.seconds),
            "RateLimit-Policy": ", ".join(f"{rate.limit};w={rate.seconds}" for rate in rates),
        }
