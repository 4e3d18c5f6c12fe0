"""Measure what one company's backlog costs another, with real workers.

`python -m benchmarks.fairness` prints a table, writes `var/bench/fairness.json`, and exits with 1
if a note or a password mail takes more than twice its idle time. `benchmarks/README.md` explains
the ratios.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.catalog import VAR, is_goal_met, make_environment, print_results, run_manage
from config.environment import BASE_DIR
from config.local import LocalServices
from config.local.run import read_procfile

DATABASE = "bench_fairness"
PROCESSES = ("worker", "mail", "beat")
ROUNDS = 10
MAX_RATIO = 2.0
TIMEOUT_S = 120.0
POLL_INTERVAL_S = 0.005
NOTE_SENTENCES = 60
CLAIMS = 200
WORDS = "pump valve report meeting Monday budget sensor delivery fan engineer contract week".split()


def run(queued: int, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return the ratios of times with `queued` jobs of another company to idle times."""
    VAR.mkdir(parents=True, exist_ok=True)
    with LocalServices(VAR) as services:
        env = set_up_django(services)
        with run_processes(env):
            return list(compare_with_backlog(queued, rounds))


def set_up_django(services: LocalServices) -> dict[str, str]:
    """Create a database and set up Django in this process; return the environment."""
    env = make_environment(DATABASE, services) | {
        "CELERY_BROKER_URL": f"redis+socket://{services.redis_socket}?virtual_host=6",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LOG_LEVEL": "WARNING",
    }
    with psycopg.connect(services.database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
    run_manage(env, "migrate", "--verbosity", "0")
    os.environ |= env
    import django

    django.setup()
    _purge_queues()
    return env


def _purge_queues() -> None:
    """Delete the messages of an earlier run."""
    from config.celery import app

    with app.connection_for_write() as connection:
        for queue in app.amqp.queues:
            connection.default_channel.queue_purge(queue)


@contextmanager
def run_processes(env: dict[str, str]) -> Iterator[None]:
    """Run the workers and beat with the commands of the Procfile."""
    procfile = read_procfile()
    env = env | {"PATH": f"{os.path.dirname(sys.executable)}:{env['PATH']}"}
    processes = [
        subprocess.Popen(
            ["sh", "-c", f"exec env {procfile[name]}"],
            cwd=BASE_DIR,
            env=env,
            start_new_session=True,
        )
        for name in PROCESSES
    ]
    try:
        yield
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def compare_with_backlog(queued: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Compare a note and a password mail with `queued` jobs of another company and without."""
    busy, guest = make_user("busy"), make_user("guest")
    measurements = {
        "a note": (lambda: time_note(guest), lambda: queue_notes(busy, queued)),
        "a password mail": (lambda: time_password_mail(guest), lambda: queue_notes(busy, queued)),
        "a password mail, mails queued": (
            lambda: time_password_mail(guest),
            lambda: queue_mails(busy, queued),
        ),
    }
    for what, (measure, queue_backlog) in measurements.items():
        measure()
        idle = [measure() for _ in range(rounds)]
        queue_backlog()
        loaded = [measure() for _ in range(rounds)]
        remaining = cancel_backlog(busy)
        yield {
            "what": f"{what}: ms with {queued} queued, {remaining} left, against idle",
            "goal": -MAX_RATIO,
            "ours": statistics.median(loaded) * 1000,
            "other": statistics.median(idle) * 1000,
            "ratio": statistics.median(loaded) / statistics.median(idle),
            "worst_ratio": max(loaded) / statistics.median(idle),
        }


def make_user(name: str) -> Any:
    """Create a user in a company of its own."""
    from accounts.models import Company, User

    company = Company.objects.create(name=name, code=name)
    return User.objects.create_user(
        email=f"{name}@example.org", username=name, password=None, company=company
    )


def make_text() -> str:
    """Return a text like no other, so that its summary is not stored yet."""
    sentences = (" ".join(random.choices(WORDS, k=12)) for _ in range(NOTE_SENTENCES))
    return f"{uuid4()}. " + " ".join(f"The {sentence}." for sentence in sentences)


def time_note(user: Any) -> float:
    """Return the seconds from creating a note to its stored summary."""
    from notes import services

    start = time.perf_counter()
    note = services.create_note(by=user, raw_text=make_text())
    _wait_until_completed(type(note.own_summary).objects.filter(pk=note.own_summary.pk))
    return time.perf_counter() - start


def time_password_mail(user: Any) -> float:
    """Return the seconds from requesting a password reset to the sent mail."""
    from accounts.models import Mail, PasswordReset

    Mail.objects.filter(user=user).delete()  # A user gets five such mails an hour.
    start = time.perf_counter()
    reset = PasswordReset.objects.enqueue(email=user.email)
    _wait_until_completed(Mail.objects.filter(password_reset=reset))
    return time.perf_counter() - start


def _wait_until_completed(rows: Any) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not rows.filter(status="completed").exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"A job did not end within {TIMEOUT_S:.0f} s.")
        time.sleep(POLL_INTERVAL_S)


def queue_notes(user: Any, count: int) -> None:
    from django.db import transaction

    from notes import services

    with transaction.atomic():
        for _ in range(count):
            services.create_note(by=user, raw_text=make_text())


def queue_mails(user: Any, count: int) -> None:
    from accounts.models import Mail, MailKind

    mail = {"company": user.company, "user": user, "to": user.email, "kind": MailKind.WELCOME}
    Mail.objects.enqueue_many([Mail(**mail) for _ in range(count)])


def cancel_backlog(user: Any) -> int:
    """Cancel the user's jobs and return how many had not ended."""
    from accounts.models import Mail
    from notes.models import Summary

    rows = (model.objects.filter(user=user) for model in (Summary, Mail))
    return sum(jobs.cancel_all() for jobs in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queued", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    results = run(options.queued, options.rounds)
    print_results(results)
    (VAR / "fairness.json").write_text(json.dumps(results, indent=1))
    return 0 if all(map(is_goal_met, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
