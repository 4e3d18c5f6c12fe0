import io
from typing import Any

import pytest
from django.test import RequestFactory

from config.wsgi import SMALL, application

pytestmark = pytest.mark.django_db


def left_of(size: int, **more: str) -> int:
    """How much of a body of `size` bytes, that a route refuses unseen, nobody has read."""
    request: Any = RequestFactory().post("/nothing", b"x" * size, "application/json", **more)
    body = io.BytesIO(b"x" * size)
    statuses = []
    application({**request.environ, "wsgi.input": body}, lambda status, _: statuses.append(status))
    assert statuses[0].startswith("404")
    return size - body.tell()


def test_a_small_body_that_nobody_wants_is_read_all_the_same() -> None:
    assert left_of(1000) == left_of(SMALL) == left_of(0) == 0
    assert left_of(1000, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="") == 0


def test_a_large_one_is_not() -> None:
    assert left_of(SMALL + 1) == SMALL + 1
