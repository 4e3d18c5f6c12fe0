"""The windows that a request counts towards, and the decision about a request."""

from dataclasses import dataclass, replace
from typing import Self

from common.ratelimit.rates import Rate

MICROSECONDS_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: a rate, and the Redis key of the times of its requests (`key`).

    While the key `seen_key` or `exempt_key` exists, the window does not count requests. A window
    with a `seen_key` sets it when it counts a request, for as long as the window: so it counts
    distinct clients instead of requests.
    """

    key: str
    rate: Rate
    seen_key: str = ""
    exempt_key: str = ""

    @property
    def length_us(self) -> int:
        return self.rate.seconds * MICROSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class WindowState:
    """The number of requests in a window, and the microseconds until it allows one more."""

    window: Window
    count: int
    reset_after_us: int

    @property
    def limit(self) -> int:
        return self.window.rate.limit

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.count)

    @property
    def reset_after_s(self) -> int:
        """Seconds until the window allows one more request, rounded up."""
        return -(-self.reset_after_us // MICROSECONDS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class RateLimitDecision:
    """Whether a request is allowed, and the states of those `windows` that apply to it.

    The request was counted at `moment_us`: by Redis's clock, or by this process's if `is_local`.
    """

    allowed: bool
    states: tuple[WindowState, ...]
    windows: tuple[Window, ...]
    moment_us: int = 0
    is_local: bool = False

    def without_request(self) -> Self:
        """Return the decision as if this request had not been counted."""
        states = (replace(state, count=state.count - 1) for state in self.states)
        return replace(self, states=tuple(states))

    @property
    def strictest(self) -> WindowState:
        """The window with the fewest requests left; among full windows the last to reset."""
        return min(self.states, key=lambda state: (state.remaining, -state.reset_after_s))

    @property
    def retry_after(self) -> int:
        """Seconds until a refused request would be allowed, rounded up."""
        return self.strictest.reset_after_s

    @property
    def headers(self) -> dict[str, str]:
        """`RateLimit-*` of the strictest window (draft-ietf-httpapi-ratelimit-headers-07).

        After `RateLimit-Reset` seconds the window allows one request more than
        `RateLimit-Remaining`.
        """
        strictest = self.strictest
        rates = dict.fromkeys(window.rate for window in self.windows)
        return {
            "RateLimit-Limit": str(strictest.limit),
            "RateLimit-Remaining": str(strictest.remaining),
            "RateLimit-Reset": str(strictest.reset_after_s),
            "RateLimit-Policy": ", ".join(f"{rate.limit};w={rate.seconds}" for rate in rates),
        }


def combine_decisions(
    first: RateLimitDecision | None, second: RateLimitDecision | None
) -> RateLimitDecision | None:
    """Return one decision about a request that was counted in two steps."""
    if first is None or second is None:
        return first or second
    return RateLimitDecision(
        first.allowed and second.allowed,
        first.states + second.states,
        first.windows + second.windows,
    )
