from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import httpx2

from common.outbound.errors import OutboundError
from common.outbound.transport import DEFAULT_PORTS, CheckedTransport, Origin, origin_of

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 3.0, 5.0
# Below this, only the ports of HTTP itself: the others are those of mail, remote shells and so on.
MIN_UNRESERVED_PORT, MAX_PORT = 1024, 65_535


@asynccontextmanager
async def open_response(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    allow_private: bool = False,
    max_redirects: int = 0,
) -> AsyncIterator[httpx2.Response]:
    """Send a request, follow redirects and yield the response; read its body by `read_body`.

    With `allow_private`, the origin of `url` may have private addresses, but a redirect never leads
    to another private host or port. With `max_redirects=0` a redirect is the response. The caller
    limits the total time. Raises `OutboundError`.
    """
    with _translate_errors():
        first = httpx2.URL(url)
        _check_url(first)
        async with _create_client(origin_of(first) if allow_private else None) as client:
            request = client.build_request(method, first, headers=headers, content=content)
            # A compressed body could exceed the limit of its size when it is decompressed.
            request.headers["Accept-Encoding"] = "identity"
            for _ in range(max_redirects + 1):
                response = await client.send(request, stream=True)
                try:
                    if not (max_redirects and response.has_redirect_location):
                        yield response
                        return
                    request = _redirected_request(response)
                finally:
                    await response.aclose()
    raise OutboundError("redirects too often.")


async def read_body(response: httpx2.Response, *, max_bytes: int) -> bytes:
    """Return the body; raise `OutboundError` if it is too large or compressed."""
    if response.headers.get("content-encoding", "identity") != "identity":
        message = "is compressed, although an uncompressed answer was requested."
        raise OutboundError(message)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise OutboundError(f"is larger than {max_bytes} bytes.")
    return bytes(body)


def _create_client(private_origin: Origin | None) -> httpx2.AsyncClient:
    transport = CheckedTransport(private_origin=private_origin)
    timeout = httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    # Without `trust_env=False`, a proxy of the environment would resolve the hosts.
    return httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False)


def _redirected_request(response: httpx2.Response) -> httpx2.Request:
    request = response.next_request
    if request is None:
        raise OutboundError("redirects to an invalid URL.")
    _check_url(request.url)
    if response.url.scheme == "https" != request.url.scheme:
        raise OutboundError("redirects from https to http.")
    port = origin_of(request.url)[2]
    if port != origin_of(response.url)[2] and not _is_web_port(port):
        raise OutboundError(f"redirects to port {port}, which is not one of the web.")
    return request


def _check_url(url: httpx2.URL) -> None:
    """Raise `OutboundError` unless it is an http or https URL with a host and nothing unusual."""
    if url.scheme not in DEFAULT_PORTS or not url.host:
        raise OutboundError(f"leads to a URL that is not http or https: {url.scheme}.")
    if url.userinfo:
        raise OutboundError(f"leads to a URL of {url.host} with a user name or password.")
    if url.port is not None and not 0 < url.port <= MAX_PORT:
        raise OutboundError(f"leads to an invalid port: {url.port}.")


def _is_web_port(port: int) -> bool:
    return port in DEFAULT_PORTS.values() or port >= MIN_UNRESERVED_PORT


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn the errors of httpx2 into `OutboundError`."""
    try:
        yield
    except httpx2.TimeoutException as error:
        message = f"did not answer in time ({type(error).__name__})."
        raise OutboundError(message, is_retryable=True) from None
    except httpx2.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise OutboundError("has a certificate that can't be verified.") from None
        message = f"can't be reached ({type(error).__name__})."
        raise OutboundError(message, is_retryable=True) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise OutboundError(f"can't be requested ({type(error).__name__}).") from None
