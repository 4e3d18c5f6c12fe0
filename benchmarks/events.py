"""Measure what recording an event costs a request: `python -m benchmarks.events`.

In one process and by turns, `POST /notes` and `POST /products` are sent with and without recording,
through all middleware. The ratio is that of the median times.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, islice
from typing import Any
from unittest.mock import patch

import psycopg

from benchmarks.catalog import VAR, make_environment, run_manage
from config.local import LocalServices

DATABASE = "bench_events"
MIN_RATIO = 0.9
BLOCK = 20
NUMBERS = count()


def set_up_django(services: LocalServices) -> None:
    env = make_environment(DATABASE, services)
    with psycopg.connect(services.database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
    run_manage(env, "migrate", "--verbosity", "0")
    run_manage(env, "seed_admin")
    os.environ |= env | {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING"}
    os.environ |= {"ALLOWED_HOSTS": "testserver", "RATE_LIMIT_PER_MINUTE": "off"}
    os.environ |= {"RATE_LIMIT_PER_HOUR": "off"}
    import django

    django.setup()


def make_requests() -> dict[str, Callable[[int], Any]]:
    """Return functions that send the request with a number, by name."""
    from django.test import RequestFactory
    from rest_framework.test import APIClient

    from accounts.models import User
    from accounts.services import start_login
    from accounts.tokens import AccessToken

    client = APIClient()
    login = start_login(User.objects.get(), request=RequestFactory().get("/"))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_login(login)}")

    def post(path: str, body: dict[str, Any]) -> None:
        response = client.post(path, body, format="json", secure=True)
        assert response.status_code == 201, response.content

    return {
        "POST /notes": lambda n: post("/api/v1/notes", {"raw_text": f"Note {n} of the day."}),
        "POST /products": lambda n: post(
            "/api/v1/products", {"name": f"Pump {n}", "sku": f"P-{n}", "price": "9.90"}
        ),
    }


@contextmanager
def no_recording() -> Iterator[None]:
    with patch("notes.services.record"), patch("catalog.services.record"):
        yield


def measure(send: Callable[[int], Any], rounds: int) -> float:
    """Return the ratio of the median times without and with recording."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * rounds):
        is_recording = turn % 2 == 0
        with nullcontext() if is_recording else no_recording():
            for number in islice(NUMBERS, BLOCK):
                started = time.perf_counter()
                send(number)
                times[is_recording].append(time.perf_counter() - started)
    return statistics.median(times[False]) / statistics.median(times[True])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    is_missed = False
    with LocalServices(VAR) as services:
        set_up_django(services)
        for name, send in make_requests().items():
            measure(send, 2)
            ratio = measure(send, rounds)
            is_missed |= ratio < MIN_RATIO
            print(f"{name:16} {ratio:5.2f}  ≥ {MIN_RATIO}", flush=True)
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
