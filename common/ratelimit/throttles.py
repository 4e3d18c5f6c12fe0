"""Which requests count towards which windows: DRF's throttles, and the same for other views."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from common.ratelimit.addresses import address_block
from common.ratelimit.limiter import limiter
from common.ratelimit.rates import Rate, halved, parse_rates, per
from common.ratelimit.windows import Verdict, Window

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which loads this module by the settings' word

PREFIX = "bureau:limit"
# The schema and the pages that show it are as free as static files.
UNLIMITED = ("drf_spectacular.views",)
# Seconds for which an address where somebody has signed in stays theirs: 90 days.
KNOWN = 90 * 86_400


class ApiThrottle(BaseThrottle):
    """`API_RATE_LIMIT` for each person, or for each address where nobody has signed in."""

    without_redis = False

    def allow_request(self, request: Request, view: "APIView") -> bool:
        self.verdict: Verdict | None = None
        if type(view).__module__ not in UNLIMITED:
            self.verdict = limiter.hit(self.windows(request, view), locally=self.without_redis)
        _tell(request._request, self.verdict)
        return self.verdict is None or self.verdict.allowed

    def wait(self) -> float | None:
        return self.verdict.retry_after if self.verdict else None

    def windows(self, request: Request, view: "APIView") -> list[Window]:
        """What the request counts towards; a subclass adds its own."""
        return _windows(f"api:{who(request)}", parse_rates(settings.API_RATE_LIMIT))


class SummaryThrottle(ApiThrottle):
    """Also `RATE_LIMIT_PER_MINUTE` and `RATE_LIMIT_PER_HOUR`, for what asks for a summary."""

    def windows(self, request: Request, view: "APIView") -> list[Window]:
        windows = super().windows(request, view)
        if request.method != "POST":
            return windows
        rates = (
            *per(settings.RATE_LIMIT_PER_MINUTE, "minute"),
            *per(settings.RATE_LIMIT_PER_HOUR, "hour"),
        )
        return windows + _windows(f"summaries:{who(request)}", rates)


class AuthThrottle(ApiThrottle):
    """Also the limits of `auth_windows`, which hold in each process when Redis is away.

    For login, sign-up, refresh and reset: `throttle_classes = (AuthThrottle,)`, in the place of
    the default. The view may have a `throttle_scope` (its class's name by default; one scope is
    one set of counts) and `throttle_account(request) -> str`: which account is tried, in the one
    spelling that it is looked up by, known or not; "" where the request names none. See `given`.
    """

    without_redis = True

    def allow_request(self, request: Request, view: "APIView") -> bool:
        self.error: Exception | None = None
        allowed = super().allow_request(request, view)
        if allowed and self.error:
            raise self.error
        return allowed

    def windows(self, request: Request, view: "APIView") -> list[Window]:
        scope = getattr(view, "throttle_scope", None) or type(view).__name__
        own = auth_windows(request, scope=scope, account=self._account(request, view))
        return super().windows(request, view) + own

    def _account(self, request: Request, view: "APIView") -> str:
        try:
            return view.throttle_account(request) if hasattr(view, "throttle_account") else ""
        except Exception as error:  # a body that can't be read is counted, then refused
            self.error = error
            return ""


class AccountThrottle(ApiThrottle):
    """`API_RATE_LIMIT` for the address, and also for the account that the view names.

    For what shows a secret that nobody guesses; see `AuthThrottle` for `throttle_account`.
    """

    without_redis = True

    def windows(self, request: Request, view: "APIView") -> list[Window]:
        account: str = view.throttle_account(request)  # type: ignore[attr-defined]
        name = f"{type(view).__name__}:{_digest(account)}"
        return super().windows(request, view) + _windows(name, parse_rates(settings.API_RATE_LIMIT))


def auth_windows(request: Any, *, scope: str, account: str = "") -> list[Window]:
    """The limits of tries to get in: for each address, and for each account.

    `AUTH_RATE_LIMIT` counts what one address tries. `AUTH_ACCOUNT_RATE_LIMIT` counts, for one
    account, the tries from one address, and also the addresses that try: so many new ones at
    most may join in one window. Nobody is locked out by one stranger, and a guesser with a
    thousand addresses still has only a few. Where the person has signed in before
    (`remember_address`) is never new, so that many strangers don't lock them out there either.
    """
    block = address_block(request)
    windows = _windows(f"{scope}:{block}", parse_rates(settings.AUTH_RATE_LIMIT))
    if not account:
        return windows
    digest, rates = _digest(account), _account_rates()
    windows += _windows(f"{scope}:{digest}:{block}", rates)
    return windows + [
        Window(
            f"{PREFIX}:{scope}:{digest}:{rate.seconds}",
            rate,
            entry=f"{PREFIX}:{scope}:{digest}:{block}:entry:{rate.seconds}",
            known=_known(digest, block),
        )
        for rate in rates
    ]


def given(request: Request, *names: str) -> str:
    """The first of these fields that the body fills, as a text; "" where it is no object."""
    data: object = request.data
    if not isinstance(data, Mapping):
        return ""
    # A serializer reads a number as text, so a number must count as that text.
    return next((str(data[name]) for name in names if data.get(name) not in (None, "")), "")


def count_try(request: HttpRequest, *, scope: str, account: str = "") -> Verdict | None:
    """Count a try to get in by a view that is none of DRF's; refuse it if not `.allowed`.

    `None` if the limits are off. The answer's headers are set by the middleware, all but
    `Retry-After`, which is `.retry_after`.
    """
    verdict = limiter.hit(auth_windows(request, scope=scope, account=account), locally=True)
    _tell(request, verdict)
    return verdict


def remember_address(request: Any, account: str) -> None:
    """Note that this account was signed in to from here; call after each success."""
    limiter.mark(_known(_digest(account), address_block(request)), seconds=KNOWN)


def early_refusal(error: APIException, context: dict[str, Any]) -> APIException:
    """Count a request that DRF refused before its throttles, such as by 401.

    Returns the error to answer: the same, or the throttles'. For DRF's exception handler.
    """
    view, request = context["view"], context["request"]
    if hasattr(request._request, "rate_limit"):
        return error
    try:
        view.check_throttles(request)
    except APIException as throttled:
        return throttled
    return error


def who(request: Request) -> str:
    """The person, or the address where nobody has signed in or not yet been looked for."""
    # `request.user` would authenticate once more where that has just failed.
    user = getattr(request, "_user", None)
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    return f"address:{address_block(request)}"


def _windows(name: str, rates: tuple[Rate, ...]) -> list[Window]:
    return [Window(f"{PREFIX}:{name}:{rate.seconds}", rate) for rate in rates]


def _account_rates() -> tuple[Rate, ...]:
    if settings.AUTH_ACCOUNT_RATE_LIMIT:
        return parse_rates(settings.AUTH_ACCOUNT_RATE_LIMIT)
    return halved(parse_rates(settings.AUTH_RATE_LIMIT))


def _digest(account: str) -> str:
    # What people type is of any length, and no affair of those who read the cache.
    return hashlib.sha256(account.encode(errors="surrogatepass")).hexdigest()[:32]


def _known(digest: str, block: str) -> str:
    return f"{PREFIX}:known:{digest}:{block}"


def _tell(request: HttpRequest, verdict: Verdict | None) -> None:
    request.rate_limit = verdict  # type: ignore[attr-defined]
