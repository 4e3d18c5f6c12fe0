"""Access to `/metrics`, which shows every route and the cost of the installation."""

import hmac
from ipaddress import ip_address
from typing import Any

from django.conf import settings

from common.ratelimit.addresses import client_address, parse_networks


def denied_status(request: Any) -> int | None:
    """Return `None` if the client may read, 401 for a wrong or missing token, else 403.

    The token `METRICS_TOKEN` or an address in `METRICS_ALLOW` gives access. If neither is set,
    access is denied except in development.
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
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    expected = settings.METRICS_TOKEN
    return (
        bool(expected)
        and scheme.lower() == "bearer"
        and hmac.compare_digest(token.strip().encode(), expected.encode())
    )
