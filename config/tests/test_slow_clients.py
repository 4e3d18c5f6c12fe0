"""Clients that send their body slowly, or not at all."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory

from config.slow_clients import MAX_DRAINED_BYTES, Application, limit_waiting_bodies

THREADS = 3
LOGIN = "/api/v1/auth/login"


class SlowBody(io.BytesIO):
    """A body that arrives when the test lets it."""

    def __init__(self) -> None:
        super().__init__(b"{}")
        self.is_awaited, self.may_arrive = threading.Event(), threading.Event()

    def read(self, *size: Any) -> bytes:
        self.is_awaited.set()
        assert self.may_arrive.wait(20)
        return super().read(*size)


@pytest.fixture
def server() -> Application:
    """An application with `THREADS` threads, all but one of which may wait for bodies."""
    max_bytes: Any = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return limit_waiting_bodies(get_wsgi_application(), threads=THREADS, max_bytes=max_bytes)


@pytest.fixture
def slow(server: Application) -> Iterator[list[SlowBody]]:
    """As many slow bodies as threads may wait for."""
    bodies = [SlowBody() for _ in range(THREADS - 1)]
    with ThreadPoolExecutor(THREADS) as threads:
        for body in bodies:
            threads.submit(status_of, server, "POST", LOGIN, body)
        assert all(body.is_awaited.wait(20) for body in bodies)
        yield bodies
        for body in bodies:
            body.may_arrive.set()


def status_of(server: Application, method: str, path: str, body: io.BytesIO, **more: str) -> int:
    size = len(body.getvalue())
    request: Any = RequestFactory().generic(method, path, b"x" * size, "application/json", **more)
    statuses: list[str] = []
    answer: Any = server(
        {**request.environ, "wsgi.input": body}, lambda status, *_: statuses.append(status)
    )
    answer.close()
    return int(statuses[0].split()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("slow")
def test_requests_without_a_body_are_answered_meanwhile(server: Application) -> None:
    assert status_of(server, "GET", "/health", io.BytesIO()) == 200
    assert status_of(server, "GET", "/api/v1/products", io.BytesIO()) == 200


@pytest.mark.django_db(transaction=True)
def test_further_bodies_are_refused_until_one_has_arrived(
    server: Application, slow: list[SlowBody]
) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}")) == 503
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}"), **chunked) == 503
    slow[0].may_arrive.set()
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}")) == 400
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}"), **chunked) == 400


def unread_bytes(server: Application, size: int, **more: str) -> int:
    """Send a body of `size` bytes to an unknown route and return how much stays unread."""
    body = io.BytesIO(b"x" * size)
    assert status_of(server, "POST", "/nothing", body, **more) == 404
    return size - body.tell()


@pytest.mark.django_db
def test_a_small_unread_body_is_drained(server: Application) -> None:
    assert (
        unread_bytes(server, 1000)
        == unread_bytes(server, MAX_DRAINED_BYTES)
        == unread_bytes(server, 0)
        == 0
    )
    assert unread_bytes(server, 1000, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="") == 0


@pytest.mark.django_db
def test_a_large_unread_body_is_not_drained(server: Application) -> None:
    assert unread_bytes(server, MAX_DRAINED_BYTES + 1) == MAX_DRAINED_BYTES + 1
