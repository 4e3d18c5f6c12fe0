"""Queries to an unresponsive database server fail soon, and work once it responds again."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg
import pytest
from django.db import connection

from common.postgres.liveness import MonitoredConnection, monitor
from config.local import LocalServices

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that only this module uses."""
    with LocalServices(tmp_path_factory.mktemp("unresponsive"), valkey=False) as services:
        yield services.database_url


@pytest.fixture(autouse=True)
def _monitored_server(server: str) -> Iterator[None]:
    """Let the monitor watch the module's server."""
    parameters = monitor.connection_parameters
    monitor.connection_parameters = {"conninfo": server, "connect_timeout": 2}
    monitor.record_response()
    yield
    monitor.connection_parameters = parameters
    assert not monitor.is_unresponsive


@contextmanager
def suspend_server(session: psycopg.Connection[Any]) -> Iterator[None]:
    """Suspend all processes of the session's server, then wait until the monitor sees it again."""
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
        while monitor.is_unresponsive and time.monotonic() < deadline:
            monitor.start_ping()
            time.sleep(0.05)


def test_queries_fail_soon_on_a_suspended_server_and_work_after_it(server: str) -> None:
    sessions = [MonitoredConnection.connect(server, autocommit=True) for _ in range(6)]

    def seconds_to_fail(session: psycopg.Connection[Any]) -> float:
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        return time.monotonic() - started

    with suspend_server(sessions[0]), ThreadPoolExecutor(6) as threads:
        assert max(threads.map(seconds_to_fail, sessions)) < 2.5
        # Now the server is known to be unresponsive, and new connections fail at once.
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            monitor.check_before_connect(monitor.connection_parameters)
        assert time.monotonic() - started < 0.5
    # The state of such a connection is unknown.
    assert all(session.closed for session in sessions)
    with MonitoredConnection.connect(server) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_long_query_is_not_interrupted(server: str) -> None:
    with MonitoredConnection.connect(server) as session:
        assert session.execute("SELECT 7 FROM pg_sleep(1.5)").fetchone() == (7,)


def test_a_server_that_refuses_connections_is_responsive(server: str) -> None:
    monitor.connection_parameters = {"conninfo": server, "dbname": "nowhere", "connect_timeout": 2}
    with MonitoredConnection.connect(server) as session:
        assert session.execute("SELECT 7 FROM pg_sleep(1.2)").fetchone() == (7,)


@pytest.mark.django_db
def test_django_uses_monitored_connections() -> None:
    connection.ensure_connection()
    assert isinstance(connection.connection, MonitoredConnection)
