"""Requests to URLs from settings, rows and redirects never reach a private address unasked."""

import asyncio
import gzip
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from common import outbound
from common.outbound import OutboundError
from common.outbound.addresses import is_public
from config.environment import BASE_DIR

Resolve = Callable[..., None]

# The operator's AI endpoint without redirects, and this machine's own port (docs/adr/0027).
OTHER_HTTP_MODULES = {"common/ai/provider/client.py", "config/local/run.py"}
HTTP_PACKAGES = r"httpx2|httpcore2|requests|aiohttp|urllib3|urllib\.request|http\.client"
HTTP_IMPORT = re.compile(rf"^(?:import|from) (?:{HTTP_PACKAGES})\b", re.MULTILINE)

DENIED = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.1.2.3
168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192
192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1
198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1::
2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: 2620:4f:8000::1
3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::1%eth0 fe80::1%1 febf::1
fec0::1 ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
""".split()
PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.0.0.1 128.0.0.1
169.253.255.255 169.255.0.1 172.15.255.255 172.32.0.1 192.0.1.1 192.0.3.1 192.167.255.255
192.169.0.1 198.17.255.255 198.20.0.1 223.255.255.255 2001:200::1 2001:4860:4860::8888
2606:4700:4700::1111 2a00:1450::1 2003::1 3ffe::1
""".split()


@pytest.mark.parametrize("address", DENIED)
def test_an_address_of_a_special_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_other_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_no_other_module_opens_connections_of_its_own() -> None:
    packages = (
        "common",
        "config",
        "accounts",
        "catalog",
        "notes",
        "uploads",
        "posts",
        "integrations",
    )
    modules = (file for package in packages for file in (BASE_DIR / package).rglob("*.py"))
    found = {
        str(file.relative_to(BASE_DIR))
        for file in modules
        if "tests" not in file.parts and HTTP_IMPORT.search(file.read_text())
    }
    inside = {name for name in found if name.startswith("common/outbound/")}
    assert found - inside == OTHER_HTTP_MODULES


def fetch(url: str, *, max_bytes: int = 1000, **options: Any) -> tuple[int, bytes]:
    """Return the status and the body of a response."""

    async def run() -> tuple[int, bytes]:
        async with outbound.open_response(url, **options) as response:
            return response.status_code, await outbound.read_body(response, max_bytes=max_bytes)

    return asyncio.run(run())


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Return a function that sets the addresses of a name, one list for each look-up."""
    real, answers = socket.getaddrinfo, {}

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in answers:
            return real(host, port, *args, **kwargs)
        addresses = answers[host].pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return lambda host, *look_ups: answers.update({host: [list(names) for names in look_ups]})


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/ok").respond_with_data("fine")
    return httpserver


PRIVATE_HOSTS = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "127.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
]


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_a_private_address_is_refused_however_it_is_written(server: HTTPServer, host: str) -> None:
    with pytest.raises(OutboundError, match="is not public"):
        fetch(f"http://{host}:{server.port}/ok")
    assert server.log == []


@pytest.mark.parametrize(
    "url",
    [
        "http://0177.0.0.1/",
        "http://127.0.0.1.:80/ok",
        "http://１２７.0.0.1/",
        "http://[fe80::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://127.0.0.1%2f@example.com/",
        "http://user:password@localhost/",
        "http://user@localhost/",
        "http://localhost:0/",
        "http://localhost:65536/",
        "http://localhost:-1/",
        "http://",
        "http:///ok",
        "//localhost/ok",
        "/ok",
        "",
        "file:///etc/passwd",
        "ftp://localhost/",
        "gopher://localhost/",
        "unix:///var/run/docker.sock",
        "http://" + "a" * 64 + ".example/",
        "http://no-such-host.invalid/",
        "http://localhost./",
    ],
)
def test_an_unusual_url_is_an_error_with_a_sentence(url: str) -> None:
    with pytest.raises(OutboundError) as caught:
        fetch(url)
    assert str(caught.value).endswith(".")
    assert "password" not in str(caught.value).replace("user name or password", "")


def test_the_origin_of_a_setting_may_be_private(server: HTTPServer) -> None:
    assert fetch(server.url_for("/ok"), allow_private=True) == (200, b"fine")


def test_one_private_address_among_public_ones_is_refused(
    server: HTTPServer, resolve: Resolve
) -> None:
    resolve("feed.example", ["8.8.8.8", "127.0.0.1"])
    with pytest.raises(OutboundError, match=r"whose address 127\.0\.0\.1 is not public"):
        fetch(f"http://feed.example:{server.port}/ok")


def test_the_connection_goes_to_the_address_that_was_checked(
    server: HTTPServer, resolve: Resolve
) -> None:
    """A second look-up would have no answer here."""
    resolve("feed.example", ["127.0.0.1"])
    server.expect_request("/moved").respond_with_data("", 302, {"Location": "/ok"})
    url = f"http://feed.example:{server.port}/moved"
    assert fetch(url, allow_private=True, max_redirects=1) == (200, b"fine")
    assert [request.host for request, _ in server.log] == [f"feed.example:{server.port}"] * 2


def test_the_next_address_is_tried_if_one_refuses_the_connection(
    server: HTTPServer, resolve: Resolve
) -> None:
    # Nothing listens at the first address.
    resolve("feed.example", ["::1", "127.0.0.1"])
    assert fetch(f"http://feed.example:{server.port}/ok", allow_private=True) == (200, b"fine")


class TestRedirects:
    @pytest.fixture
    def redirect(self, server: HTTPServer) -> Callable[[str], str]:
        """Return a function that returns the URL of a redirect to a location."""

        def add(location: str) -> str:
            response = {"Location": location.format(port=server.port)}
            server.expect_request("/moved").respond_with_data("x" * 5000, 302, response)
            return server.url_for("/moved")

        return add

    @pytest.mark.parametrize("location", ["/ok", "http://localhost:{port}/ok", "/ok?a=1#b"])
    def test_a_redirect_to_the_same_origin_is_followed(self, redirect: Any, location: str) -> None:
        assert fetch(redirect(location), allow_private=True, max_redirects=5) == (200, b"fine")

    @pytest.mark.parametrize("host", [h for h in PRIVATE_HOSTS if h.lower() != "localhost"])
    def test_a_redirect_to_another_private_host_is_refused(
        self, server: HTTPServer, redirect: Any, host: str
    ) -> None:
        with pytest.raises(OutboundError, match="is not public"):
            fetch(redirect(f"http://{host}:{{port}}/ok"), allow_private=True, max_redirects=5)
        assert [request.path for request, _ in server.log] == ["/moved"]

    def test_a_redirect_to_another_private_port_is_refused(
        self, redirect: Any, unused_port: int
    ) -> None:
        url = redirect(f"http://localhost:{unused_port}/")
        with pytest.raises(OutboundError, match=f":{unused_port}, whose address"):
            fetch(url, allow_private=True, max_redirects=5)

    def test_a_redirect_to_a_name_with_a_private_address_is_refused(
        self, redirect: Any, resolve: Resolve
    ) -> None:
        resolve("public.example", ["10.0.0.1"])
        with pytest.raises(OutboundError, match=r"http://public.example:80, whose address 10\.0"):
            fetch(redirect("http://public.example/"), allow_private=True, max_redirects=5)

    @pytest.mark.parametrize(
        ("location", "message"),
        [
            ("file:///etc/passwd", "not http or https"),
            ("ftp://localhost/ok", "not http or https"),
            ("http://user:pw@localhost:{port}/ok", "with a user name or password"),
            ("http://8.8.8.8:25/", "port 25"),
            ("http://8.8.8.8:22/", "port 22"),
            ("http://0177.0.0.1/", "invalid URL"),
        ],
    )
    def test_a_redirect_to_an_unusual_url_is_refused(
        self, redirect: Any, location: str, message: str
    ) -> None:
        with pytest.raises(OutboundError, match=message):
            fetch(redirect(location), allow_private=True, max_redirects=5)

    def test_the_number_of_redirects_is_limited(self, server: HTTPServer) -> None:
        for number in range(7):
            target = {"Location": f"/{number + 1}"}
            server.expect_request(f"/{number}").respond_with_data("", 307, target)
        server.expect_request("/7").respond_with_data("end")
        assert fetch(server.url_for("/2"), allow_private=True, max_redirects=5) == (200, b"end")
        with pytest.raises(OutboundError, match="redirects too often"):
            fetch(server.url_for("/1"), allow_private=True, max_redirects=5)

    def test_without_redirects_the_redirect_is_the_response(self, redirect: Any) -> None:
        assert fetch(redirect("/ok"), allow_private=True, max_bytes=9999)[0] == 302

    def test_a_redirect_to_another_host_does_not_carry_the_authorization(
        self, server: HTTPServer, redirect: Any, resolve: Resolve
    ) -> None:
        resolve("feed.example", ["127.0.0.1"])
        redirect("http://localhost:{port}/ok")
        url = f"http://feed.example:{server.port}/moved"
        with pytest.raises(OutboundError, match="is not public"):
            fetch(url, headers={"Authorization": "x"}, allow_private=True, max_redirects=1)


class TestLimits:
    def test_a_large_body_is_refused_before_it_is_read(self, server: HTTPServer) -> None:
        server.expect_request("/large").respond_with_data(b"x" * 1001)
        with pytest.raises(OutboundError, match="larger than 1000 bytes"):
            fetch(server.url_for("/large"), allow_private=True)

    def test_a_compressed_body_is_refused(self, server: HTTPServer) -> None:
        bomb = Response(gzip.compress(b"x" * 10**6), headers={"Content-Encoding": "gzip"})
        server.expect_request("/bomb").respond_with_response(bomb)
        with pytest.raises(OutboundError, match="is compressed"):
            fetch(server.url_for("/bomb"), allow_private=True, max_bytes=10**7)
        assert server.log[0][0].headers["Accept-Encoding"] == "identity"

    def test_a_refused_connection_may_be_retried(self, unused_port: int) -> None:
        with pytest.raises(OutboundError, match="can't be reached") as caught:
            fetch(f"http://127.0.0.1:{unused_port}/", allow_private=True)
        assert caught.value.is_retryable


def test_a_post_carries_its_content_and_headers(server: HTTPServer) -> None:
    def echo(request: Request) -> Response:
        return Response(request.data + request.headers["X-Signature"].encode())

    server.expect_request("/hook", method="POST").respond_with_handler(echo)
    options = {"method": "POST", "content": b"{}", "headers": {"X-Signature": "s"}}
    assert fetch(server.url_for("/hook"), allow_private=True, **options) == (200, b"{}s")


def test_proxies_of_the_environment_are_not_used(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port}")
    assert fetch(server.url_for("/ok"), allow_private=True) == (200, b"fine")


@pytest.fixture
def tls_names(tmp_path: Path) -> Iterator[tuple[int, list[str | None]]]:
    """A TLS server with an untrusted certificate: its port, and the names that clients ask for."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_create_certificate(tmp_path))
    context.sni_callback = lambda _socket, name, _context: names.append(name)  # type: ignore[assignment]
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with listener.accept()[0] as connection:
            try:
                context.wrap_socket(connection, server_side=True)
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1], names
    listener.close()


def _create_certificate(folder: Path) -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "feed.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_tls_asks_for_the_name_and_verifies_the_certificate(
    tls_names: tuple[int, list[str | None]], resolve: Resolve
) -> None:
    port, names = tls_names
    resolve("feed.example", ["127.0.0.1"])
    with pytest.raises(OutboundError, match="has a certificate that can't be verified"):
        fetch(f"https://feed.example:{port}/", allow_private=True)
    assert names == ["feed.example"]
