"""Who may read the figures: they tell of every route and of what the installation costs."""

import hmac
from ipaddress import ip_address
from typing import Any

from django.conf import settings

from common.ratelimit.addresses import client_address, parse_networks


def refusal(request: Any) -> int | None:
    """`None` for who may read, else the status: 401 for a token that is wrong or missing, 403.

    The token of `METRICS_TOKEN` or an address of `METRICS_ALLOW` opens; with neither set nobody
    is let in, except in development.
    """
    if not settings.METRICS_TOKEN and not settings.METRICS_ALLOW:
        return None if settings.METRICS_OPEN else 403
    if _is_allowed(request) or _has_token(request):
        return None
    return 401 if settings.METRICS_TOKEN else 403


def _is_allowed(request: Any) -> bool:
    address = ip_address(client_address(request))
    return any(address in network for network in parse_networks(tuple(settings.METRICS_ALLOW)))


def _has_token(request: Any) -> bool:
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    expected = settings.METRICS_TOKEN
    return (
        bool(expected)
        and scheme.lower() == "bearer"
        and hmac.compare_digest(given.strip().encode(), expected.encode())
    )
