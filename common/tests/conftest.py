from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.urls import clear_url_caches, path

from common.backup import write_backup
from common.ratelimit import throttles
from common.ratelimit.limiter import RateLimiter
from common.tests.support.texts import SPECIAL_TEXT
from config import urls
from notes.tests.factories import NoteFactory


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


@pytest.fixture
def uploads(tmp_path: Path, settings: Any) -> Path:
    """The folder of uploaded files, with one non-ASCII name and one incomplete file."""
    folder = tmp_path / "uploads"
    (folder / "acme" / "bucket").mkdir(parents=True)
    (folder / "acme" / "bucket" / "bild größe.png").write_bytes(bytes(range(256)) * 5000)
    (folder / ".incoming").mkdir()
    (folder / ".incoming" / "incomplete").write_bytes(b"half")
    settings.BACKUP_FOLDERS = {"audit": tmp_path / "audit", "uploads": folder}
    return folder


@pytest.fixture
def small_backup(uploads: Path, tmp_path: Path) -> Path:
    """A backup of a few rows, which are still in the database."""
    NoteFactory(user__full_name="Zoë", raw_text=SPECIAL_TEXT)
    write_backup(tmp_path / "backup.tar.gz")
    return tmp_path / "backup.tar.gz"
