"""Types of settings: how a value is read from text, and the sentence for a wrong one."""

import json
import re
from contextlib import suppress
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from common.ratelimit.addresses import parse_networks
from common.ratelimit.rates import parse_rates, parse_requests_per
from config.server_urls import check_broker_url, check_database_url, check_redis_url

_IPV6_HOST = re.compile(r"\[[\da-f:.]+:[\da-f:.]*\]", re.I)
_NETWORK = re.compile(r"[\da-f.:]*[.:][\da-f.:]*/\d+", re.I)
_HOST_NAME = re.compile(r"\*|\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\*\.)?[^\s/?#@*]*")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"It is not valid JSON: {error}.") from None


def _parse_list(value: Any) -> Any:
    """Parse `a,b` or `["a", "b"]`: the earlier services used both."""
    if not isinstance(value, str):
        return value
    if value.startswith("[") and not _IPV6_HOST.match(value):
        return _parse_json(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _parse_object(value: Any) -> Any:
    return _parse_json(value) if isinstance(value, str) else value


def _check_rates(text: str) -> str:
    parse_rates(text)
    return text


def _check_count(text: str) -> str:
    try:
        parse_requests_per(text, "minute")
    except ValueError:
        raise ValueError(f"{text!r} is neither a number from 1 to 100000 nor off.") from None
    return text


def _check_networks(texts: list[str]) -> list[str]:
    parse_networks(tuple(texts))
    return texts


def _parse_hosts(texts: list[str]) -> list[str]:
    return [_parse_host(text) for text in texts]


def _parse_host(text: str) -> str:
    """Return the host of `api.example.com`, `api.example.com:8000` or `https://api.example.com/`.

    Django compares it with the `Host` header's name, without the port.
    """
    if _NETWORK.fullmatch(text):
        raise ValueError(f"{text!r} is a network: write each host name or address.")
    host = re.sub(r"^[a-z]+://", "", text.lower()).partition("/")[0]
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # an IPv6 address
    host = re.sub(r":\d+$", "", host).removesuffix(".")
    with suppress(UnicodeError):
        host = host if host.isascii() else host.encode("idna").decode()
    if not _HOST_NAME.fullmatch(host):
        hint = f"; for all subdomains write {host[1:]}" if host.startswith("*.") else ""
        raise ValueError(f"{text!r} is not a host name such as api.example.com{hint}.")
    return host


def _parse_cors_origins(texts: list[str]) -> list[str]:
    return [text if text in ("*", "null") else _parse_origin(text) for text in texts]


def _parse_csrf_origins(texts: list[str]) -> list[str]:
    return [_parse_origin(text, wildcard=True) for text in texts]


def _parse_origin(text: str, *, wildcard: bool = False) -> str:
    """Return the origin as browsers send it: lower case, without a path and a default port."""
    origin = text.lower().removesuffix("/") if "://" in text.removesuffix("/") else text
    if not _ORIGIN.fullmatch(origin) or ("*" in origin and not wildcard):
        raise ValueError(f"{text!r} is not an origin such as https://app.example.com.")
    scheme, _, host = origin.partition("://")
    default_port = {"http": ":80", "https": ":443"}.get(scheme, "/")
    return f"{scheme}://{host.removesuffix(default_port)}"


def check_http_url(url: str) -> str:
    """Return the URL without a slash at its end."""
    if not url:
        return url
    if not re.match(r"https?://", url, re.I):
        raise ValueError("It must start with http:// or https://.")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname and parts.port != 0)
    except ValueError:
        has_host = False
    if not has_host or re.search(r"[\s\x00-\x1f]", url):
        raise ValueError("It has no valid host or port: write for example https://example.com.")
    if parts.username is not None or parts.fragment:
        raise ValueError("It must contain neither credentials nor a fragment (#).")
    return url.rstrip("/")


def _check_public_url(url: str) -> str:
    if "?" in url:
        raise ValueError("It must not contain a query (?).")
    return check_http_url(url)


def _complete_feed_url(url: str) -> str:
    """Return the URL of the feed; that of a site alone gets the path `/posts`."""
    check_http_url(url)
    parts = urlsplit(url)
    return parts._replace(path="/posts").geturl() if url and parts.path in ("", "/") else url


def _parse_provider_url(url: str) -> str:
    """Return the base URL of a provider, also of the URL that its requests are sent to."""
    if not url:
        return url
    parts = urlsplit(check_http_url(url))
    path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    if path.endswith(("/completions", "/responses", "/messages")):
        raise ValueError("It must be the address of Chat Completions, such as https://host/v1.")
    return parts._replace(path=path).geturl()


def _check_header_value(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if re.search(r"[^\x21-\x7e]|\\[nr]$", text):
        raise ValueError("It contains a space, a line end or a character that is not ASCII.")
    if re.fullmatch(r"([\"'`]).*|.*([\"'`])", text):
        raise ValueError("It is in quotation marks: leave them out.")
    return secret


def _check_email(text: str) -> str:
    try:
        validate_email(text)
    except ValidationError:
        raise ValueError(f"{text!r} is not an email address.") from None
    return text


def _check_host(text: str) -> str:
    if re.search(r"[\s/@]", text):
        raise ValueError(f"{text!r} is not a host name or an address.")
    return text


def _check_server_host(text: str) -> str:
    """Accept a host name, an address, or the folder of a unix socket."""
    if text.count(":") == 1 and "/" not in text:
        raise ValueError(f"{text!r} has a port, which is a setting of its own (..._PORT).")
    return text if text.startswith("/") else _check_host(text)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_parse_list)]
HostNames = Annotated[Names, AfterValidator(_parse_hosts)]
CorsOrigins = Annotated[Names, AfterValidator(_parse_cors_origins)]
CsrfOrigins = Annotated[Names, AfterValidator(_parse_csrf_origins)]
Networks = Annotated[Names, AfterValidator(_check_networks)]
Host = Annotated[str, AfterValidator(_check_host)]
ServerHost = Annotated[str, AfterValidator(_check_server_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
Email = Annotated[str, AfterValidator(_check_email)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]

Rates = Annotated[str, AfterValidator(_check_rates)]
Count = Annotated[str, AfterValidator(_check_count)]
DatabaseUrl = Annotated[str, AfterValidator(check_database_url), Field(repr=False)]
RedisUrl = Annotated[str, AfterValidator(check_redis_url), Field(repr=False)]
BrokerUrl = Annotated[str, AfterValidator(check_broker_url), Field(repr=False)]
HttpUrl = Annotated[str, AfterValidator(check_http_url)]
FeedUrl = Annotated[str, AfterValidator(_complete_feed_url)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
ProviderUrl = Annotated[str, AfterValidator(_parse_provider_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_check_header_value)]

Temperature = Annotated[float, Field(ge=0, le=2)]
Price = Annotated[Decimal, Field(ge=0)]
Prices = Annotated[dict[str, tuple[Price, Price, Price]], NoDecode, BeforeValidator(_parse_object)]
Buckets = Annotated[dict[str, list[str]], NoDecode, BeforeValidator(_parse_object)]
# By the code of a company; null: its events are kept.
RetentionDays = Annotated[
    dict[str, Annotated[int, Field(ge=1, le=36_500)] | None],
    NoDecode,
    BeforeValidator(_parse_object),
]
