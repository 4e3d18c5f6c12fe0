"""Check the URLs of the database, the cache and the broker.

A password may contain characters that a URL reserves (`?`, `#`, `/`, `@`, `%`) as long as the URL
can be read in one way only; it is percent-encoded here. The errors never quote a URL.
"""

import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

POSTGRES_EXAMPLE = "postgresql://user:password@host:5432/name"
REDIS_EXAMPLE = "redis://host:6379/0"
# What the installed packages support.
BROKER_SCHEMES = ("amqp", "amqps", "pyamqp", "redis", "rediss", "redis+socket", "sentinel")
MAX_PORT = 65_535

_HOST = r"(?:\[[^\]@]*\]|[^@:/?#\[\]]*)(?::\d+)?"
# What may follow the credentials: hosts with ports, a path, a query.
_ADDRESS = re.compile(rf"{_HOST}(?:,{_HOST})*(?:/[^@?#]*)?(?:\?.*)?", re.S)


def check_database_url(url: str) -> str:
    """Return the URL as libpq reads it; SQLAlchemy's name of the driver is left out."""
    if not url:
        return url
    scheme, _, rest = _split_scheme(url, POSTGRES_EXAMPLE).partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(f"Bureau needs PostgreSQL, not {scheme}: write {POSTGRES_EXAMPLE}.")
    url = encode_credentials(f"postgresql://{rest}")
    _check_parameters(url)
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ValueError(f"PostgreSQL can't read it: write {POSTGRES_EXAMPLE}.") from None
    _check_ports(str(parts.get("port") or ""))
    if not parts.get("dbname") and "service" not in parts:
        raise ValueError(f"the name of the database is missing: write {POSTGRES_EXAMPLE}.")
    return url


def _check_parameters(url: str) -> None:
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in known | {"ssl"}:
            raise ValueError(f"PostgreSQL has no parameter {name!r}.")
        if name == "ssl":
            raise ValueError("write sslmode=require instead of the parameter 'ssl'.")


def check_redis_url(url: str) -> str:
    """Return the URL of a Redis or Valkey: `redis://`, `rediss://` (TLS) or `unix://`."""
    if not url:
        return url
    scheme = _split_scheme(url, REDIS_EXAMPLE).partition("://")[0]
    if scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"Bureau needs Redis or Valkey, not {scheme}: write {REDIS_EXAMPLE}.")
    if scheme != "unix":
        url = encode_credentials(url)
        _check_redis_address(url)
    elif not urlsplit(url).path:
        raise ValueError("the path of the socket is missing: write unix:///path/of/the.sock?db=0.")
    _check_redis_parameters(url)
    return url


def _check_redis_address(url: str) -> None:
    parts = urlsplit(url)
    _check_ports(_port_of(parts.netloc))
    if not parts.hostname:
        raise ValueError(f"the host is missing: write {REDIS_EXAMPLE}.")
    if not re.fullmatch(r"/?\d{0,5}", parts.path):
        raise ValueError(f"the number of the database is not a number: write {REDIS_EXAMPLE}.")


def _check_redis_parameters(url: str) -> None:
    # Only where a URL is set: the import takes a tenth of a second.
    from redis import ConnectionPool

    try:
        ConnectionPool.from_url(url).make_connection()  # connects when it is used
    except (TypeError, ValueError, AttributeError):
        raise ValueError(
            f"redis-py can't read its path or parameters: write {REDIS_EXAMPLE}."
        ) from None


def check_broker_url(url: str) -> str:
    """Return the URL of Celery's broker."""
    if not url:
        return url
    scheme = _split_scheme(url, "amqp://user:password@host:5672/").partition("://")[0]
    if scheme not in BROKER_SCHEMES:
        raise ValueError(f"the broker {scheme} is not one of {', '.join(BROKER_SCHEMES)}.")
    if scheme in ("redis", "rediss"):
        return check_redis_url(url)
    if scheme in ("amqp", "amqps", "pyamqp"):
        url = encode_credentials(url)
        _check_ports(_port_of(urlsplit(url).netloc))
    return url


def encode_credentials(url: str) -> str:
    """Return the URL with its user and password percent-encoded; raise ValueError if it is unclear.

    Every `@` may end the credentials, if a host follows it.
    """
    scheme, _, rest = url.partition("://")
    if "@" not in rest:
        return url
    ends = [-1, *(index for index, character in enumerate(rest) if character == "@")]
    ends = [end for end in ends if _ADDRESS.fullmatch(rest, end + 1)]
    if len(ends) != 1 or ends[0] < 0:
        raise ValueError(
            "it can be read in several ways or in none: percent-encode the special characters of"
            " the user and the password (@ is %40, / is %2F, ? is %3F, # is %23, % is %25)."
        )
    user, colon, password = rest[: ends[0]].partition(":")
    return f"{scheme}://{_encode(user)}{colon}{_encode(password)}{rest[ends[0] :]}"


def _encode(text: str) -> str:
    """Percent-encode a text in which some characters may be encoded already."""
    try:
        return quote(unquote(text, errors="strict"), safe="")
    except UnicodeDecodeError:
        raise ValueError("its user or password is not UTF-8 after percent-decoding.") from None


def _port_of(netloc: str) -> str:
    return netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]


def _check_ports(ports: str) -> None:
    for port in filter(None, ports.split(",")):
        if not (port.isdecimal() and 1 <= int(port) <= MAX_PORT):
            raise ValueError(f"the port is not a number from 1 to {MAX_PORT}.")


def _split_scheme(url: str, example: str) -> str:
    """Return the URL with its scheme in lower case."""
    match = re.fullmatch(r"([a-z][a-z0-9+.-]*)(://.*)", url, re.I | re.S)
    if match is None:
        raise ValueError(f"it is not a URL: write {example}.")
    return match[1].lower() + match[2]


def build_postgres_url(*, host: str, port: int, user: str, password: str, name: str) -> str:
    """Return the URL of the parts; `host` may also be the folder of a unix socket."""
    credentials = f"{quote(user, '')}:{quote(password, '')}"
    return f"postgresql://{credentials}@{_encode_host(host)}:{port}/{quote(name, '')}"


def build_redis_url(*, host: str, port: int, password: str, database: int) -> str:
    credentials = f":{quote(password, '')}@" if password else ""
    return f"redis://{credentials}{_encode_host(host)}:{port}/{database}"


def _encode_host(host: str) -> str:
    return f"[{host}]" if ":" in host.strip("[]") and "[" not in host else quote(host, "[]:")
