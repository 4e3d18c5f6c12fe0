from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.urls import clear_url_caches, path

from common.ratelimit import throttles
from common.ratelimit.limiter import RateLimiter
from config import urls


def _broken(request: HttpRequest) -> None:
    raise ZeroDivisionError("secret")


def _without_database(request: HttpRequest) -> None:
    raise OperationalError("connection refused")


@pytest.fixture
def route(settings: Any) -> Iterator[Any]:
    """Add a route for the length of a test."""
    known = list(urls.urlpatterns)

    def add(where: str, view: Any) -> str:
        urls.urlpatterns.append(path(where, view))
        clear_url_caches()
        return f"/{where}"

    yield add
    urls.urlpatterns[:] = known
    clear_url_caches()


@pytest.fixture
def broken_view(route: Any) -> str:
    return route("broken", _broken)


@pytest.fixture
def view_without_database(route: Any) -> str:
    return route("no-database", _without_database)


@pytest.fixture
def limiter(monkeypatch: pytest.MonkeyPatch) -> RateLimiter:
    """A rate limiter that has seen no failure of Redis; the throttles use it."""
    limiter = RateLimiter()
    monkeypatch.setattr(throttles, "limiter", limiter)
    return limiter
