"""The live process of the Procfile with a thousand clients: it is killed, stopped and cut off.

`make chaos-live` runs this and prints measurements.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.db import connection, transaction

from accounts import services
from accounts.models import User
from accounts.tests.factories import UserFactory
from catalog.tests.factories import ProductFactory
from common.events import record
from common.tests.support import Broker, eventually
from common.tests.support.worker import database_url
from config.environment import BASE_DIR
from config.local.run import read_procfile
from integrations.tests.test_event_stream_api import create_note, token_of

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS, EVENTS = 1_000, 100
MAX_P99_S, MAX_MEMORY_MB = 0.5, 150
MB = 1_000_000
# Packages of the test environment that libraries import if they are there: production has them not.
TEST_PACKAGES = ("cryptography", "jinja2", "pygments", "requests", "rich")


class LiveProcess:
    """The Procfile's live process, on the database of the test and any Valkey."""

    def __init__(self, port: int, folder: Path, redis_url: str) -> None:
        self.port = port
        self._folder = folder
        hide = f"import sys; sys.modules.update(dict.fromkeys({TEST_PACKAGES}))"
        (folder / "sitecustomize.py").write_text(hide)
        self._environment = {
            **os.environ,
            "ENV_FILE": os.devnull,
            "PYTHONPATH": str(folder),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "DATABASE_URL": database_url(),
            "REDIS_URL": redis_url,
            "SECRET_KEY": settings.SECRET_KEY,
            "VAR_DIR": str(folder),
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
            "API_RATE_LIMIT": "off",
            "LIVE_PORT": str(port),
        }

    def start(self) -> None:
        with (self._folder / "live.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", f"exec env {read_procfile()['live']}"],
                cwd=BASE_DIR,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._is_alive, "the live process answers", within=30)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> float:
        """Send SIGTERM, and return after how many seconds the process has ended."""
        started = time.monotonic()
        self._process.terminate()
        assert self._process.wait(20) == 0
        return time.monotonic() - started

    def memory_mb(self) -> float:
        """Return the memory of the worker; its parent only watches it."""
        (worker,) = psutil.Process(self._process.pid).children()
        return worker.memory_info().rss / MB

    def _is_alive(self) -> bool:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1).close()
            return True
        return False


class Client:
    """Reads a stream; it reconnects with the last event's id until it is stopped."""

    def __init__(self, port: int, token: str, types: str = "product.*") -> None:
        self._port, self._token, self._types = port, token, types
        self.last_id = ""
        self.connections = 0
        self.is_connected = False
        self.ended_at = 0.0
        self.status = 0
        self.received: dict[str, float] = {}
        self.order: list[str] = []

    async def run(self) -> None:
        while self.status in (0, 200):
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._read()
            self.is_connected = False
            self.ended_at = time.time()
            await asyncio.sleep(0.2)

    async def _read(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        since = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        path = f"/api/v1/events/stream?types={self._types}"
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n"
        writer.write(f"{head}{since}\r\n".encode())
        try:
            if line := await reader.readline():
                self.status = int(line.split()[1])
            while line := await reader.readline():
                self._take(line)
        finally:
            writer.close()

    def _take(self, line: bytes) -> None:
        if line.startswith(b": connected"):
            self.connections += 1
            self.is_connected = True
        elif line.startswith(b"id: "):
            self.last_id = line[4:].decode().strip()
        elif line.startswith(b"data: "):
            target = json.loads(line[6:])["targets"][0]["id"]
            self.order.append(target)
            self.received[target] = time.time()


class Clients:
    """Clients in an event loop of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self._tasks: list[Future[None]] = []
        self.all: list[Client] = []

    def start(self, clients: list[Client], *, within: float = 60) -> None:
        self.all += clients
        for client in clients:
            self._tasks.append(asyncio.run_coroutine_threadsafe(client.run(), self._loop))
        self.wait_for_connections(within=within)

    def wait_for_connections(self, *, within: float = 60) -> None:
        eventually(
            lambda: all(client.is_connected for client in self.all),
            "all clients are connected",
            within=within,
        )

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.5), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def live(tmp_path: Path, unused_port: int) -> Iterator[LiveProcess]:
    with running(LiveProcess(unused_port, tmp_path, settings.REDIS_URL)) as process:
        yield process


@contextmanager
def running(process: LiveProcess) -> Iterator[LiveProcess]:
    process.start()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()


@pytest.fixture
def clients() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    clients.stop()


def write(count: int, user: User, *, gap_s: float = 0.05) -> dict[str, float]:
    """Record events of products; return when each was committed, by its product's id."""
    committed = {}
    for _ in range(count):
        with transaction.atomic():
            product = ProductFactory(company=user.company)
            record("product.created", by=user, target=product)
        committed[str(product.pk)] = time.time()
        time.sleep(gap_s)
    return committed


def wait_for_all(clients: Clients, committed: dict[str, float], *, within: float = 30) -> None:
    def are_complete() -> bool:
        return all(committed.keys() <= client.received.keys() for client in clients.all)

    eventually(are_complete, "all clients have all events", within=within)
    for client in clients.all:
        assert client.order == list(committed), "in their order, none twice"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def test_a_thousand_clients_get_all_events_soon(
    live: LiveProcess, clients: Clients, admin: User, capsys: Any
) -> None:
    users = [admin, *UserFactory.create_batch(99, company=admin.company)]
    tokens = [token_of(user) for user in users]
    clients.start([Client(live.port, tokens[n % len(tokens)]) for n in range(CLIENTS)])
    committed = write(EVENTS, admin)
    wait_for_all(clients, committed)
    delays = [
        received - committed[target]
        for client in clients.all
        for target, received in client.received.items()
    ]
    p50, p99, memory_mb = percentile(delays, 0.5), percentile(delays, 0.99), live.memory_mb()
    with capsys.disabled():
        print(
            f"\n{CLIENTS} clients x {EVENTS} events: p50 {p50:.3f} s, p99 {p99:.3f} s,"
            f" max {max(delays):.3f} s, {memory_mb:.0f} MB"
        )
    assert p99 <= MAX_P99_S
    assert memory_mb <= MAX_MEMORY_MB


def test_a_killed_process_leaves_no_gap(
    live: LiveProcess, clients: Clients, admin: User, capsys: Any
) -> None:
    token = token_of(admin)
    clients.start([Client(live.port, token) for _ in range(CLIENTS)])
    committed = write(5, admin)
    wait_for_all(clients, committed)

    def write_more() -> None:
        committed.update(write(40, admin))
        connection.close()

    writer = Thread(target=write_more)
    writer.start()
    time.sleep(0.5)
    live.kill()
    live.start()
    restarted = time.monotonic()
    writer.join()
    clients.wait_for_connections()
    wait_for_all(clients, committed, within=60)
    with capsys.disabled():
        print(f"\nAll {CLIENTS} were up to date {time.monotonic() - restarted:.1f} s after a kill.")
    assert {client.connections for client in clients.all} == {2}


def test_a_stopped_process_ends_its_streams_soon(
    live: LiveProcess, clients: Clients, admin: User
) -> None:
    token = token_of(admin)
    clients.start([Client(live.port, token) for _ in range(100)])
    assert live.terminate() < 4
    eventually(lambda: all(not c.is_connected for c in clients.all), "all streams end", within=2)


@pytest.mark.parametrize("end", [services.deactivate_user, services.end_all_sessions])
def test_a_stream_ends_with_its_login(
    live: LiveProcess, clients: Clients, admin: User, owner: User, end: Callable[..., Any]
) -> None:
    (own, other) = Client(live.port, token_of(owner)), Client(live.port, token_of(admin))
    clients.start([own, other])
    end(owner, by=admin)
    ended = time.time()
    eventually(lambda: not own.is_connected, "the stream has ended", within=3)
    assert own.ended_at - ended < 2
    eventually(lambda: own.status == 401, "a new one is refused", within=3)
    assert other.is_connected


def test_nobody_reads_the_notes_of_other_agents(
    live: LiveProcess, clients: Clients, admin: User
) -> None:
    agents = UserFactory.create_batch(20, company=admin.company)
    clients.start([Client(live.port, token_of(user), "note.*") for user in [admin, *agents]])
    notes = {agent.pk: str(create_note(agent).pk) for agent in agents for _ in range(3)}
    of_admin, *of_agents = clients.all
    eventually(lambda: len(of_admin.order) == 60, "the admin has all notes", within=10)
    eventually(lambda: all(len(c.order) >= 3 for c in of_agents), "the agents too", within=10)
    time.sleep(0.5)
    for agent, client in zip(agents, of_agents, strict=True):
        assert len(client.order) == 3
        assert client.order[-1] == notes[agent.pk]


def test_events_arrive_while_valkey_is_down(
    clients: Clients, admin: User, tmp_path: Path, unused_port: int, capsys: Any
) -> None:
    with (
        Broker(tmp_path) as valkey,
        running(LiveProcess(unused_port, tmp_path, f"unix://{valkey.socket}?db=0")) as live,
    ):
        clients.start([Client(live.port, token_of(admin)) for _ in range(50)])
        valkey.kill()
        committed = write(20, admin)
        wait_for_all(clients, committed)
        client = clients.all[0]
        delays = [client.received[target] - at for target, at in committed.items()]
        with capsys.disabled():
            print(f"\nWithout Valkey: at most {max(delays):.3f} s.")
        # A new client also gets in.
        clients.start([Client(live.port, token_of(admin), "product.deleted")])
