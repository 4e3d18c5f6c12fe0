"""Clients that send slowly, or not what they have announced."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.test import RequestFactory

from config.slow_clients import SMALL, Application, limit_waiting_bodies
from config.wsgi import application

THREADS = 3
LOGIN = "/api/v1/auth/login"


class SlowBody(io.BytesIO):
    """Comes when it is let go."""

    def __init__(self) -> None:
        super().__init__(b"{}")
        self.is_awaited, self.goes_on = threading.Event(), threading.Event()

    def read(self, *size: Any) -> bytes:
        self.is_awaited.set()
        assert self.goes_on.wait(20)
        return super().read(*size)


@pytest.fixture
def server() -> Application:
    """What `THREADS` threads serve, of which all but one may wait."""
    longest: Any = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return limit_waiting_bodies(application, threads=THREADS, longest=longest)


@pytest.fixture
def slow(server: Application) -> Iterator[list[SlowBody]]:
    """Bodies that all who may wait are waiting for."""
    bodies = [SlowBody() for _ in range(THREADS - 1)]
    with ThreadPoolExecutor(THREADS) as threads:
        for body in bodies:
            threads.submit(status_of, server, "POST", LOGIN, body)
        assert all(body.is_awaited.wait(20) for body in bodies)
        yield bodies
        for body in bodies:
            body.goes_on.set()


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
def test_what_needs_no_body_is_answered_all_the_same(server: Application) -> None:
    assert status_of(server, "GET", "/health", io.BytesIO()) == 200
    assert status_of(server, "GET", "/api/v1/products", io.BytesIO()) == 200


@pytest.mark.django_db(transaction=True)
def test_more_bodies_are_refused_until_the_first_have_come(
    server: Application, slow: list[SlowBody]
) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}")) == 503
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}"), **chunked) == 503
    slow[0].goes_on.set()
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}")) == 400
    assert status_of(server, "POST", LOGIN, io.BytesIO(b"{}"), **chunked) == 400


def left_of(server: Application, size: int, **more: str) -> int:
    """How much of a body of `size` bytes, that a route refuses unseen, nobody has read."""
    body = io.BytesIO(b"x" * size)
    assert status_of(server, "POST", "/nothing", body, **more) == 404
    return size - body.tell()


@pytest.mark.django_db
def test_a_small_body_that_nobody_wants_is_read_all_the_same(server: Application) -> None:
    assert left_of(server, 1000) == left_of(server, SMALL) == left_of(server, 0) == 0
    assert left_of(server, 1000, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="") == 0


@pytest.mark.django_db
def test_a_large_one_is_not(server: Application) -> None:
    assert left_of(server, SMALL + 1) == SMALL + 1
