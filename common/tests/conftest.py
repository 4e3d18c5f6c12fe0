from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.urls import clear_url_caches, path

from common.ratelimit import throttles
from common.ratelimit.limiter import RateLimiter
from config import urls


def _raise_zero_division(request: HttpRequest) -> None:
    raise ZeroDivisionError("secret")


def _raise_operational_error(request: HttpRequest) -> None:
    raise OperationalError("connection refused")


@pytest.fixture
def route(settings: Any) -> Iterator[Any]:
    """Add routes that are removed after the test."""
    original = list(urls.urlpatterns)

    def add(pattern: str, view: Any) -> str:
        urls.urlpatterns.append(path(pattern, view))
        clear_url_caches()
        return f"/{pattern}"

    yield add
    urls.urlpatterns[:] = original
    clear_url_caches()


@pytest.fixture
def broken_view(route: Any) -> str:
    return route("broken", _raise_zero_division)


@pytest.fixture
def view_without_database(route: Any) -> str:
    return route("no-database", _raise_operational_error)


@pytest.fixture
def limiter(monkeypatch: pytest.MonkeyPatch) -> RateLimiter:
    """A rate limiter that has seen no failure of Redis; the throttles use it."""
    limiter = RateLimiter()
    monkeypatch.setattr(throttles, "limiter", limiter)
    return limiter
