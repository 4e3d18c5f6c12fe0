"""Where a request comes from, proxies seen through."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# A peer without an address came by a unix socket, so it is on this machine.
THIS_MACHINE = ip_address("127.0.0.1")
# What one subscriber is given at the least; within it they choose addresses as they like.
SUBSCRIBER = 64


def client_address(request: Any) -> str:
    """The client's address in its usual spelling; always one that a row can hold.

    It is `REMOTE_ADDR`, unless that is one of `TRUSTED_PROXIES`: then `X-Forwarded-For` is read
    from the right, through trusted proxies, up to the first address that is none. What stands
    further left, or left of something that is no address, was written by who knows whom.
    `request` is Django's or DRF's.
    """
    return str(_client(request))


def address_block(request: Any) -> str:
    """What limits are kept by: the IPv4 address, or the IPv6 network of one subscriber (/64)."""
    address = _client(request)
    if address.version == 4:
        return str(address)
    return str(IPv6Network((int(address), SUBSCRIBER), strict=False))


def _client(request: Any) -> Address:
    address = _parse(request.META.get("REMOTE_ADDR") or "") or THIS_MACHINE
    proxies = networks(tuple(settings.TRUSTED_PROXIES))
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "")
    while hops and any(address in proxy for proxy in proxies):
        hops, _, last = hops.rpartition(",")
        before = _parse(last)
        if before is None:
            break
        address = before
    return address


@lru_cache(maxsize=16)
def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks, parsed; host bits may be set. Raises `ValueError`, a sentence."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise ValueError(f"{error}. Write addresses or networks, such as 10.0.0.0/8.") from None


def _parse(text: str) -> Address | None:
    """Read an address as proxies write it: `1.2.3.4:80`, `[2001:db8::1]:80`, `fe80::1%eth0`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
