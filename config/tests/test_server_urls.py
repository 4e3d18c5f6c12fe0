"""Which URLs of servers are accepted, how a password may be written, and what is refused."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from config.server_urls import (
    build_postgres_url,
    build_redis_url,
    check_broker_url,
    check_database_url,
    check_redis_url,
)


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("p?ss", "p?ss"),
        ("p#ss", "p#ss"),
        ("p@ss", "p@ss"),
        ("p/ss", "p/ss"),
        ("p:ss", "p:ss"),
        ("p%ss", "p%ss"),
        ("100%", "100%"),
        ("p%40ss", "p@ss"),
        ("p%3Fs?s", "p?s?s"),
        ("ä ö", "ä ö"),
        ("?#/@:%", "?#/@:%"),
    ],
)
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "PostgreSQL"])
def test_a_password_of_special_characters_is_read(scheme: str, written: str, password: str) -> None:
    url = check_database_url(f"{scheme}://me:{written}@db.example.com:5432/office?sslmode=require")
    assert conninfo_to_dict(url) == {
        "user": "me",
        "password": password,
        "host": "db.example.com",
        "port": "5432",
        "dbname": "office",
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///bureau?host=%2Ftmp%2Fsocket&port=5432&user=bureau",
        "postgresql://%2Fvar%2Frun/bureau",
        "postgresql://me@[::1]:5432/office",
        "postgresql://me:pw@a:5432,b:5433/office?target_session_attrs=read-write",
        "postgresql:///?service=office",
        "postgresql://db/office",
        "",
    ],
)
def test_other_forms_of_database_urls_stay_as_they_are(url: str) -> None:
    assert check_database_url(url) == url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite://", "needs PostgreSQL, not sqlite: write postgresql://user"),
        ("sqlite:///db.sqlite3", "needs PostgreSQL, not sqlite"),
        ("sqlite+aiosqlite:///./x.db", "needs PostgreSQL, not sqlite"),
        ("mysql://root:s3cret@db/x", "needs PostgreSQL, not mysql"),
        ("mysql+pymysql://x", "needs PostgreSQL, not mysql"),
        ("postgresql:", "is not a URL"),
        ("db:5432/s3cret", "is not a URL"),
        ("host=db password=s3cret", "is not a URL"),
        ("postgresql://", "name of the database is missing"),
        ("postgresql://me:s3cret@db:5432", "name of the database is missing"),
        ("postgresql://me:s3cret@db:0/x", "port is not a number from 1 to 65535"),
        ("postgresql://me:s3cret@db:65536/x", "port is not a number"),
        ("postgresql://db:port/x", "port is not a number"),
        ("postgresql://me:s3cret@[::1/x", "write postgresql://user|percent-encode"),
        ("postgresql://me:s3cret@db/x?ssl=require", "sslmode=require"),
        ("postgresql://me:s3cret@db/x?pool=5", "has no parameter 'pool'"),
        ("postgresql://me:s3cret@ss?a@db/x", "percent-encode"),
        ("postgresql://me:12?s3cret@db/x", "percent-encode"),
        ("postgresql://me:s3cret@db/x?application_name=a@b", "percent-encode"),
        ("postgresql://me:s3cret%ff@db/x", "is not UTF-8"),
    ],
)
def test_bad_database_urls_are_refused_without_their_password(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        check_database_url(url)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("redis://cache", "redis://cache"),
        ("redis://:p/s?s@cache:6379/1", "redis://:p%2Fs%3Fs@cache:6379/1"),
        ("rediss://me:p@ss@cache:6380/0", "rediss://me:p%40ss@cache:6380/0"),
        ("redis://[::1]:6379/2", "redis://[::1]:6379/2"),
        ("unix:///run/valkey.sock?db=2", "unix:///run/valkey.sock?db=2"),
    ],
)
def test_redis_urls_are_read(url: str, checked: str) -> None:
    assert check_redis_url(url) == checked


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://cache:6379", "needs Redis or Valkey, not http"),
        ("memcached://cache", "needs Redis or Valkey, not memcached"),
        ("localhost:6379", "is not a URL"),
        ("redis://", "host is missing"),
        ("redis://:s3cret@", "host is missing"),
        ("redis://cache:99999/0", "port is not a number"),
        ("redis://cache:x", "port is not a number"),
        ("redis://cache/zero", "is not a number"),
        ("redis://cache?db=zero", "can't read its path or parameters"),
        ("redis://cache?colour=red", "can't read its path or parameters"),
        ("unix://", "path of the socket is missing"),
    ],
)
def test_bad_redis_urls_are_refused(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_redis_url(url)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("amqp://guest:gu?st@mq:5672//", "amqp://guest:gu%3Fst@mq:5672//"),
        ("amqp://localhost", "amqp://localhost"),
        ("redis://cache:6379/1", "redis://cache:6379/1"),
        ("sentinel://a:26379;sentinel://b:26379", "sentinel://a:26379;sentinel://b:26379"),
        ("", ""),
    ],
)
def test_broker_urls_are_read(url: str, checked: str) -> None:
    assert check_broker_url(url) == checked


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("kafka://mq", "broker kafka is not one of amqp"),
        ("memory://", "broker memory is not one of"),
        ("mq:5672", "is not a URL"),
        ("amqp://guest:guest@mq:99999//", "port is not a number"),
        ("redis://cache/x", "is not a number"),
    ],
)
def test_bad_broker_urls_are_refused(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_broker_url(url)


def test_urls_of_parts_encode_each_part() -> None:
    parts = {"port": 5432, "user": "m@", "password": "/?#", "name": "a b"}
    assert build_postgres_url(host="db", **parts) == "postgresql://m%40:%2F%3F%23@db:5432/a%20b"
    assert "@[::1]:5432/" in build_postgres_url(host="::1", **parts)
    assert "@%2Frun%2Fpg:5432/" in build_postgres_url(host="/run/pg", **parts)
    assert build_redis_url(host="::1", port=6379, password="", database=2) == "redis://[::1]:6379/2"
