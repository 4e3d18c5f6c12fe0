"""A database that has stopped to answer: given up soon, and found again as soon as it is back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg
import pytest
from django.db import connection

from common.postgres.liveness import WatchedConnection, pulse
from config.local import LocalServices


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this module's own, by its URL."""
    with LocalServices(tmp_path_factory.mktemp("frozen"), valkey=False) as services:
        yield services.database_url


@pytest.fixture(autouse=True)
def _watched(server: str) -> Iterator[None]:
    """The pulse is that of the module's server."""
    known = pulse._parameters
    pulse._parameters = {"conninfo": server, "connect_timeout": 2}
    pulse.hear()
    yield
    pulse._parameters = known
    assert not pulse.is_lost


@contextmanager
def frozen(session: psycopg.Connection[Any]) -> Iterator[None]:
    """Inside, the server and all of its processes stand still."""
    postmaster = psutil.Process(session.info.backend_pid).parent()
    assert postmaster is not None
    processes = [postmaster, *postmaster.children()]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()
        deadline = time.monotonic() + 10
        while pulse.is_lost and time.monotonic() < deadline:
            pulse._ping.start()
            time.sleep(0.05)


def test_nobody_waits_for_ever_and_it_is_found_again(server: str) -> None:
    sessions = [WatchedConnection.connect(server, autocommit=True) for _ in range(6)]

    def ask(session: psycopg.Connection[Any]) -> float:
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        return time.monotonic() - started

    with frozen(sessions[0]), ThreadPoolExecutor(6) as threads:
        assert max(threads.map(ask, sessions)) < 2.5
        # By now it is known, and costs nobody much.
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            pulse.check_back(pulse._parameters)
        assert time.monotonic() - started < 0.5
    # What such a connection was at is unknown.
    assert all(session.closed for session in sessions)
    with WatchedConnection.connect(server) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_long_statement_is_waited_for(server: str) -> None:
    with WatchedConnection.connect(server) as session:
        assert session.execute("SELECT 7 FROM pg_sleep(1.5)").fetchone() == (7,)


def test_a_server_that_refuses_answers(server: str) -> None:
    pulse._parameters = {"conninfo": server, "dbname": "nowhere", "connect_timeout": 2}
    with WatchedConnection.connect(server) as session:
        assert session.execute("SELECT 7 FROM pg_sleep(1.2)").fetchone() == (7,)


@pytest.mark.django_db
def test_django_uses_it() -> None:
    connection.ensure_connection()
    assert isinstance(connection.connection, WatchedConnection)
