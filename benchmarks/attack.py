"""Attack a running web server, and compare its answers with those of the idle server.

`make attack` prints a table and fails if an attack does more harm than its limit. `--short` is for
CI: smaller attacks, and twice the limits of times, because other work runs on the same machine.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any
from urllib.error import HTTPError

import psutil
import psycopg
import redis

from benchmarks.catalog import INSERT_PRODUCTS, make_environment, run_manage
from config.deploy_check import PRODUCTION
from config.environment import BASE_DIR
from config.local import LocalServices
from config.local.run import read_procfile

VAR = BASE_DIR / "var" / "attack"
PORT = 8961
API = "/api/v1"
LOGIN = f"{API}/auth/login"
MEASURED_S = 3.0
MAX_SLOWDOWN = 3.0
MB = 1_000_000


@dataclass(frozen=True)
class Result:
    """One figure of an attack, which must not be above `limit`."""

    attack: str
    figure: str
    value: float
    limit: float


class Bureau:
    """The web server under attack, and what it uses."""

    def __init__(self, process: subprocess.Popen[bytes], services: LocalServices) -> None:
        self._process = psutil.Process(process.pid)
        self._valkey = redis.Redis.from_url(services.redis_url)
        self.idle_ms = self.median_health_ms()

    def median_health_ms(self) -> float:
        """Return the median time of sequential requests, each on a connection of its own."""
        times, end = [], time.monotonic() + MEASURED_S
        while time.monotonic() < end:
            started = time.perf_counter()
            status, answer = send("GET", "/health")
            assert status == 200, (status, answer)
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1000

    def slowdown(self) -> float:
        return self.median_health_ms() / self.idle_ms

    def memory_mb(self) -> float:
        processes = [self._process, *self._process.children(recursive=True)]
        return sum(process.memory_info().rss for process in processes) / MB

    def valkey_mb(self) -> float:
        return self._valkey.info("memory")["used_memory"] / MB


def send(
    method: str,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    *,
    token: str = "",
    address: str = "",
) -> tuple[int, bytes]:
    """Return the status and the body of a response; `address` is the client's."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"X-Forwarded-For": address} if address else {}
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}", data=data, headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()


def sign_in() -> bytes:
    """Return the answer to a correct sign-in."""
    password = PRODUCTION["FIRST_SUPERUSER_PASSWORD"]
    body = {"username": "admin@example.com", "password": password}
    return send("POST", LOGIN, body, address=random_address())[1]


def random_address() -> str:
    """Return a client address, so that the limit of one address does not end an attack."""
    return str(IPv4Address(random.randrange(2**24, 2**31)))


@contextmanager
def in_background(attack: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Run an attack in another process, so that it takes no time from the measurement."""
    process = multiprocessing.get_context("fork").Process(target=attack, args=arguments)
    process.start()
    time.sleep(0.3)
    try:
        yield
    finally:
        process.kill()
        process.join()


def repeat_in_threads(call: Callable[[int], Any], threads: int, pause_s: float = 0) -> None:
    """Call a function in several threads at once, again and again."""
    with ThreadPoolExecutor(threads) as pool:
        while True:
            with suppress(OSError):
                list(pool.map(call, range(threads)))
            time.sleep(pause_s)


def attack_with_nested_json(bureau: Bureau, *, is_short: bool) -> Iterator[Result]:
    body = b"[" * (4 * MB) + b"]" * (4 * MB)
    with in_background(repeat_in_threads, lambda _: send("POST", LOGIN, body), 30, 1.0):
        slowdown = bureau.slowdown()
    yield Result("30 × 8 MB of nested lists", "time of /health", slowdown, MAX_SLOWDOWN)


def attack_with_long_names(bureau: Bureau, *, is_short: bool) -> Iterator[Result]:
    name = "x" * 10_000
    answers = [
        send("POST", LOGIN, {name: 1}),
        send("GET", f"{API}/products?{name[:4000]}=1"),
        send("POST", LOGIN, {"username": {name: 1}, "password": "x"}),
    ]
    largest = max(len(body) for _, body in answers)
    yield Result("names of 10 kB", "bytes of the answer", largest, 2_000)


def attack_with_stalled_bodies(bureau: Bureau, *, is_short: bool) -> Iterator[Result]:
    head = f"POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n".encode()
    with ExitStack() as stack:
        started = time.monotonic()
        connections = [stack.enter_context(connect()) for _ in range(30)]
        for connection in connections:
            connection.sendall(head + b"x" * MB)
        yield Result("30 stalled bodies", "time of /health", bureau.slowdown(), MAX_SLOWDOWN)
        yield Result("30 stalled bodies", "refused sign-ins", refused_sign_ins(), 0)
        wait_until_closed(connections)
        yield Result("30 stalled bodies", "seconds until closed", time.monotonic() - started, 15)


def attack_with_large_bodies_that_never_arrive(
    bureau: Bureau, *, is_short: bool
) -> Iterator[Result]:
    head = (
        f"POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.18.{{}}.{{}}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20000000\r\n\r\n"
    )
    with ExitStack() as stack:
        for number in range(600):
            connection = stack.enter_context(connect())
            connection.sendall(head.format(*divmod(number, 250)).encode())
        name = "600 absent bodies of 20 MB"
        yield Result(name, "time of /health", bureau.slowdown(), MAX_SLOWDOWN)
        yield Result(name, "refused sign-ins", refused_sign_ins(), 0)


def attack_with_idle_connections(bureau: Bureau, *, is_short: bool) -> Iterator[Result]:
    half = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    with ExitStack() as stack:
        started = time.monotonic()
        connections = [stack.enter_context(connect()) for _ in range(600 if is_short else 3_000)]
        for connection in connections[::2]:
            connection.sendall(half)
        name = f"{len(connections):,} idle connections"
        yield Result(name, "time of /health", bureau.slowdown(), MAX_SLOWDOWN)
        yield Result(name, "refused sign-ins", refused_sign_ins(), 0)
        wait_until_closed(connections)
        yield Result(name, "seconds until closed", time.monotonic() - started, 15)


def attack_with_long_notes(bureau: Bureau, *, is_short: bool) -> Iterator[Result]:
    token = json.loads(sign_in())["access_token"]
    note = {"raw_text": "A long note. " * 38_000}
    for _ in range(20 if is_short else 100):
        status, answer = send("POST", f"{API}/notes", note, token=token)
        assert status == 201, answer
    before = bureau.memory_mb()

    def read(path: str) -> int:
        return len(send("GET", path, token=token)[1])

    for path in (f"{API}/notes?page_size=100", f"{API}/notes?page_size=100&fields=id,raw_text"):
        with ThreadPoolExecutor(8) as pool:
            sizes = list(pool.map(read, [path] * 16))
        name = "lists of long notes" + (" with texts" if "fields" in path else "")
        yield Result(name, "MB of an answer", max(sizes) / MB, 8)
        yield Result(name, "MB of memory", bureau.memory_mb() - before, 300)


def attack_the_cache(bureau: Bureau, *, is_short: bool) -> Iterator[Result]:
    before, requests = bureau.valkey_mb(), 1_000 if is_short else 10_000

    def read(query: str) -> int:
        return send("GET", f"{API}/products?{query}", address=random_address())[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(read, (f"nonsense={n}" for n in range(200))))
        yield Result("200 unknown parameters", "answers but 400", 200 - statuses.count(400), 0)
        yield Result("200 unknown parameters", "MB in Valkey", bureau.valkey_mb() - before, 1)
        statuses = list(
            pool.map(read, (f"page_size=100&min_price={n / 1e4}" for n in range(requests)))
        )
        yield Result(f"{requests:,} queries", "answers but 200", requests - statuses.count(200), 0)
        yield Result(f"{requests:,} queries", "MB in Valkey", bureau.valkey_mb() - before, 100)


def attack_with_sign_ins(bureau: Bureau, *, is_short: bool) -> Iterator[Result]:
    def guess(_: int) -> None:
        body = {"username": f"user{random.random()}", "password": "wrong"}
        send("POST", LOGIN, body, address=random_address())

    with in_background(repeat_in_threads, guess, 14):
        yield Result("14 sign-ins at a time", "time of /health", bureau.slowdown(), 10)


ATTACKS = [
    attack_with_nested_json,
    attack_with_long_names,
    attack_with_stalled_bodies,
    attack_with_large_bodies_that_never_arrive,
    attack_with_idle_connections,
    attack_with_long_notes,
    attack_the_cache,
    attack_with_sign_ins,
]


def refused_sign_ins(attempts: int = 4) -> int:
    """Return how many correct sign-ins got no token."""
    return sum(b"access_token" not in sign_in() for _ in range(attempts))


def connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", PORT), timeout=30)


def wait_until_closed(connections: list[socket.socket]) -> None:
    for connection in connections:
        with suppress(OSError):
            while connection.recv(65_536):
                pass


@contextmanager
def run_bureau(services: LocalServices) -> Iterator[Bureau]:
    """Run the Procfile's web process with production's settings and default limits."""
    env = make_environment("bureau", services) | {
        "VAR_DIR": str(VAR),
        "PORT": str(PORT),
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "TRUSTED_PROXIES": "127.0.0.1",
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
    }
    del env["API_RATE_LIMIT"]
    run_manage(env, "migrate", "--verbosity", "0")
    run_manage(env, "seed_admin")
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as database:
        database.execute(INSERT_PRODUCTS.replace("{rows}", "2000"))
    command = ["sh", "-c", f"exec {read_procfile()['web']}"]
    with (VAR / "web.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=BASE_DIR, env=env, stdout=log, stderr=log)
    try:
        wait_for_health()
        yield Bureau(process, services)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for_health() -> None:
    for _ in range(150):
        with suppress(OSError):
            if send("GET", "/health")[0] == 200:
                return
        time.sleep(0.2)
    raise TimeoutError("The web server does not start.")


def print_result(result: Result) -> None:
    verdict = "" if result.value <= result.limit else "  TOO MUCH"
    print(
        f"{result.attack:32} {result.figure:22} {result.value:9.2f}  ≤ {result.limit:g}{verdict}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="Smaller attacks.")
    options = parser.parse_args()
    shutil.rmtree(VAR, ignore_errors=True)  # the superuser's password is new in each run
    VAR.mkdir(parents=True)
    results = []
    with LocalServices(VAR) as services, run_bureau(services) as bureau:
        for attack in ATTACKS:
            for result in attack(bureau, is_short=options.short):
                if options.short and "time" in result.figure:
                    result = replace(result, limit=2 * result.limit)
                print_result(result)
                results.append(result)
    return int(any(result.value > result.limit for result in results))


if __name__ == "__main__":
    sys.exit(main())
