import asyncio
import socket
from functools import cache
from ssl import SSLContext

import httpx2

from common.outbound.addresses import is_public
from common.outbound.errors import OutboundError

Origin = tuple[str, str, int]

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_ADDRESSES_TRIED = 4


def origin_of(url: httpx2.URL) -> Origin:
    """Return the scheme, the host and the port of a URL."""
    return url.scheme, host_of(url), url.port or DEFAULT_PORTS[url.scheme]


def host_of(url: httpx2.URL) -> str:
    """Return the ASCII form of a URL's host, in lower case."""
    return url.raw_host.decode("ascii")


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Resolves a host, checks all its addresses and connects to one of those.

    There is no second look-up, which could have another result. A host is looked up once, also for
    several requests. The addresses of `private_origin` may be private.
    """

    def __init__(self, *, private_origin: Origin | None = None) -> None:
        self._private_origin = private_origin
        self._addresses: dict[Origin, list[str]] = {}
        # Connections are not reused: two hosts at one address would share one, and the certificate
        # would be that of the first.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._transport = httpx2.AsyncHTTPTransport(verify=_create_tls_context(), limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        addresses = await self._checked_addresses(request.url)
        for address in addresses[:-1]:
            try:
                return await self._send(request, address)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._send(request, addresses[-1])

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _send(self, request: httpx2.Request, address: str) -> httpx2.Response:
        """Send a request to an address, with the URL's host in `Host` and in the TLS handshake."""
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions | {"sni_hostname": host_of(request.url).rstrip(".")},
        )
        return await self._transport.handle_async_request(pinned)

    async def _checked_addresses(self, url: httpx2.URL) -> list[str]:
        origin = origin_of(url)
        if origin not in self._addresses:
            self._addresses[origin] = await _resolve(*origin[1:])
        addresses = self._addresses[origin]
        if origin != self._private_origin:
            _check_addresses(origin, addresses)
        return addresses[:MAX_ADDRESSES_TRIED]


def _check_addresses(origin: Origin, addresses: list[str]) -> None:
    """Raise `OutboundError` if one of the addresses is not public."""
    for address in addresses:
        if not is_public(address):
            scheme, host, port = origin
            raise OutboundError(
                f"leads to {scheme}://{host}:{port}, whose address {address} is not public."
            )


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a label may be too long for a name
        message = f"leads to {host}, a host that can't be found."
        raise OutboundError(message, is_retryable=True) from None
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


@cache
def _create_tls_context() -> SSLContext:
    return httpx2.create_ssl_context()  # takes 20 ms; threads and forks can share it
