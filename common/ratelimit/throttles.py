"""Choose the windows that count a request: throttles for DRF and for plain Django views."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from common.ratelimit.addresses import address_block
from common.ratelimit.limiter import limiter
from common.ratelimit.rates import Rate, halve_rates, parse_rates
from common.ratelimit.windows import RateLimitDecision, Window, combine_decisions

if TYPE_CHECKING:
    from rest_framework.views import APIView  # imports this module, as the settings name it

KEY_PREFIX = "bureau:limit"
SIGN_IN_SCOPE = "sign-in"
# The schema and the documentation pages are not limited, like static files.
UNLIMITED_VIEW_MODULES = ("drf_spectacular.views",)
# A user can sign in from a known address even while strangers use up the account's limit.
KNOWN_ADDRESS_TTL_S = 90 * 86_400
# Shortened SHA-256 digests keep the keys short and account names out of Redis.
ACCOUNT_DIGEST_CHARS = 32


class ApiThrottle(BaseThrottle):
    """Applies `API_RATE_LIMIT` to each user, or to each address without a signed-in user."""

    decision: RateLimitDecision | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if type(view).__module__ in UNLIMITED_VIEW_MODULES:
            _set_decision(request._request, None)
            return True
        return self.count(request, self.get_windows(request, view))

    def count(self, request: Request, windows: list[Window]) -> bool:
        """Count the request in the windows, and return whether they allow it."""
        self.decision = combine_decisions(self.decision, limiter.count_request(windows))
        _set_decision(request._request, self.decision)
        return self.decision is None or self.decision.allowed

    def wait(self) -> float | None:
        return self.decision.retry_after if self.decision else None

    def get_windows(self, request: Request, view: "APIView") -> list[Window]:
        """Return the windows that count the request; subclasses add theirs."""
        return make_windows(f"api:{client_key(request)}", parse_rates(settings.API_RATE_LIMIT))


class AuthThrottle(ApiThrottle):
    """Also applies the limits of `auth_windows`.

    For sign-up, refresh and reset; sign-in uses `SignInAttempt`. Put it into `throttle_classes`,
    where it replaces the default. The view can have a `throttle_scope` (by default its class name;
    views with the same scope share their counts) and `get_throttled_account(request) -> str`,
    which returns the account name in its canonical spelling, also if there is no such account, or
    "" if the request has none. See `get_first_value`.

    The address is counted before the body is parsed for the account's name. So a body that is
    costly to parse is limited too.
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return super().allow_request(request, view) and self.count(
            request, self.get_account_windows(request, view)
        )

    def get_windows(self, request: Request, view: "APIView") -> list[Window]:
        return super().get_windows(request, view) + address_windows(request, scope=get_scope(view))

    def get_account_windows(self, request: Request, view: "APIView") -> list[Window]:
        """Return the windows that depend on the body."""
        get_account = getattr(view, "get_throttled_account", None)
        account: str = get_account(request) if get_account else ""
        return account_windows(request, scope=get_scope(view), account=account)


class TokenThrottle(AuthThrottle):
    """Applies `API_RATE_LIMIT` to a valid token, and the limits of `AuthThrottle` to others.

    A valid token is no guess, and several browser tabs share one. `get_throttled_account` returns
    the login of a valid token.
    """

    def get_windows(self, request: Request, view: "APIView") -> list[Window]:
        return ApiThrottle.get_windows(self, request, view)

    def get_account_windows(self, request: Request, view: "APIView") -> list[Window]:
        login: str = view.get_throttled_account(request)  # type: ignore[attr-defined]
        if not login:
            return address_windows(request, scope=get_scope(view))
        name = f"{get_scope(view)}:{_account_digest(login)}"
        return make_windows(name, parse_rates(settings.API_RATE_LIMIT))


def get_scope(view: "APIView") -> str:
    return getattr(view, "throttle_scope", None) or type(view).__name__


def auth_windows(request: Any, *, scope: str, account: str = "") -> list[Window]:
    """Return the windows for an authentication attempt: by address and by account."""
    by_account = account_windows(request, scope=scope, account=account)
    return address_windows(request, scope=scope) + by_account


def address_windows(request: Any, *, scope: str) -> list[Window]:
    """Return the windows of `AUTH_RATE_LIMIT`, which limits the attempts of one address."""
    return make_windows(f"{scope}:{address_block(request)}", parse_rates(settings.AUTH_RATE_LIMIT))


def account_windows(request: Any, *, scope: str, account: str) -> list[Window]:
    """Return the windows of `AUTH_ACCOUNT_RATE_LIMIT`; none without an account.

    It limits the attempts on one account from one address, and the number of addresses that may
    attempt it. So one stranger cannot lock a user out, and an attacker with a thousand addresses
    still gets few attempts. An address from which the user has signed in before
    (`remember_address`) is always allowed, so that many strangers cannot lock the user out there
    either.
    """
    if not account:
        return []
    block, digest, rates = address_block(request), _account_digest(account), _account_rates()
    return make_windows(f"{scope}:{digest}:{block}", rates) + [
        Window(
            f"{KEY_PREFIX}:{scope}:{digest}:{rate.seconds}",
            rate,
            seen_key=f"{KEY_PREFIX}:{scope}:{digest}:{block}:seen:{rate.seconds}",
            exempt_key=_known_address_key(digest, block),
        )
        for rate in rates
    ]


def get_first_value(request: Request, *names: str) -> str:
    """Return the first non-empty body field of `names` as text, or "" if there is none."""
    data: object = request.data
    if not isinstance(data, Mapping):
        return ""
    # A serializer accepts a number as text, so a number must count like that text.
    return next((str(data[name]) for name in names if data.get(name) not in (None, "")), "")


class TooManyAttempts(Throttled):
    default_detail = "Too many attempts;"
    extra_detail_singular = "wait {wait} second."
    extra_detail_plural = "wait {wait} seconds."


class SignInAttempt:
    """Counts one check of a password, unless it turns out to be right.

    `account` is the user's id, or the normalised name that was entered if there is no such user.
    All forms that ask for a current password share the counts: sign-in by the API and the admin
    site, and the changes of a password.

    The attempt is counted before the password is checked, so that parallel guesses can't pass the
    limit. It is removed again if `succeeded` is set, or if an error prevented the check.

        with SignInAttempt(request, account=account) as attempt:
            attempt.succeeded = check(password)
    """

    succeeded = False

    def __init__(self, request: HttpRequest, *, account: str) -> None:
        self._request = request
        self._account = account

    def __enter__(self) -> Self:
        """Count the attempt; raise `TooManyAttempts` if the address or account had too many."""
        windows = auth_windows(self._request, scope=SIGN_IN_SCOPE, account=self._account)
        self._decision = limiter.count_request(windows)
        self._earlier_decision = getattr(self._request, "rate_limit", None)
        shown = self._show(self._decision)
        if self._decision and not self._decision.allowed:
            raise TooManyAttempts(wait=shown.retry_after if shown else None)
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        if self._decision and (self.succeeded or error_type):
            limiter.uncount_request(self._decision)
            self._show(self._decision.without_request())
        if self.succeeded:
            remember_address(self._request, self._account)

    def _show(self, decision: RateLimitDecision | None) -> RateLimitDecision | None:
        """Let the headers describe the strictest window of the request, whatever counted it."""
        earlier = self._earlier_decision
        both = combine_decisions(earlier, decision)
        _set_decision(self._request, both)
        return both


def remember_address(request: Any, account: str) -> None:
    """Store that `account` signed in from this address."""
    key = _known_address_key(_account_digest(account), address_block(request))
    limiter.set_exempt_key(key, ttl_s=KNOWN_ADDRESS_TTL_S)


def count_rejected_request(error: APIException, context: dict[str, Any]) -> APIException:
    """Count a request that DRF rejected before its throttles ran, for example by 401.

    Return the error to respond with: `error`, or a throttle's. For DRF's exception handler.
    """
    view, request = context["view"], context["request"]
    if hasattr(request._request, "rate_limit"):
        return error
    try:
        view.check_throttles(request)
    except APIException as throttled:
        return throttled
    return error


def client_key(request: Request) -> str:
    """Return the key of the signed-in user, or else of the address."""
    # `request.user` would authenticate again after a failed authentication.
    user = getattr(request, "_user", None)
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    return f"address:{address_block(request)}"


def make_windows(name: str, rates: tuple[Rate, ...]) -> list[Window]:
    return [Window(f"{KEY_PREFIX}:{name}:{rate.seconds}", rate) for rate in rates]


def _account_rates() -> tuple[Rate, ...]:
    if settings.AUTH_ACCOUNT_RATE_LIMIT:
        return parse_rates(settings.AUTH_ACCOUNT_RATE_LIMIT)
    return halve_rates(parse_rates(settings.AUTH_RATE_LIMIT))


def _account_digest(account: str) -> str:
    digest = hashlib.sha256(account.encode(errors="surrogatepass"))
    return digest.hexdigest()[:ACCOUNT_DIGEST_CHARS]


def _known_address_key(digest: str, block: str) -> str:
    return f"{KEY_PREFIX}:known:{digest}:{block}"


def _set_decision(request: HttpRequest, decision: RateLimitDecision | None) -> None:
    request.rate_limit = decision  # type: ignore[attr-defined]
