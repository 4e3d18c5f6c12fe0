"""Find a request's client address behind trusted proxies."""

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

# A peer on a Unix socket has no address; it runs on this machine.
LOOPBACK = ip_address("127.0.0.1")
# A provider gives each subscriber at least a /64, and the subscriber can use all its addresses.
IPV6_SUBSCRIBER_PREFIX_BITS = 64


def client_address(request: Any) -> str:
    """Return the client's address in canonical form; it is always a valid address.

    This is `REMOTE_ADDR`, unless that is one of `TRUSTED_PROXIES`: then `X-Forwarded-For` is read
    from the right, past trusted proxies, to the first other address. Everything left of that
    address, or left of an invalid one, could have been written by the client and is ignored.
    `request` is Django's or DRF's.
    """
    return str(_find_client_address(request))


def address_block(request: Any) -> str:
    """Return the client that limits apply to: its IPv4 address or its IPv6 network (/64)."""
    address = _find_client_address(request)
    if address.version == 4:
        return str(address)
    return str(IPv6Network((int(address), IPV6_SUBSCRIBER_PREFIX_BITS), strict=False))


def is_from_trusted_proxy(request: Any) -> bool:
    """Return whether the request's connection comes from one of `TRUSTED_PROXIES`."""
    return bool(settings.TRUSTED_PROXIES) and _is_trusted(_peer_address(request))


def _find_client_address(request: Any) -> Address:
    address = _peer_address(request)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "")
    while hops and _is_trusted(address):
        hops, _, last_hop = hops.rpartition(",")
        previous = _parse_address(last_hop)
        if previous is None:
            break
        address = previous
    return address


def _peer_address(request: Any) -> Address:
    return _parse_address(request.META.get("REMOTE_ADDR") or "") or LOOPBACK


def _is_trusted(address: Address) -> bool:
    return any(address in proxy for proxy in parse_networks(tuple(settings.TRUSTED_PROXIES)))


@lru_cache(maxsize=16)
def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse addresses and networks; host bits are allowed. Raise `ValueError` with a sentence."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        message = f"{error}. Write addresses or networks, for example 10.0.0.0/8."
        raise ValueError(message) from None


def _parse_address(text: str) -> Address | None:
    """Parse an address as proxies write it: `1.2.3.4:80`, `[2001:db8::1]:80`, `fe80::1%eth0`."""
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
