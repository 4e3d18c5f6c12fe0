"""Measure what one company's backlog costs another, with real workers.

`python -m benchmarks.fairness` prints a table, writes `var/bench/fairness.json`, and exits with 1
if a note or a password mail takes more than twice its idle time. `benchmarks/README.md` explains
the ratios.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg

from accounts.tests.smtp_server import SmtpServer
from benchmarks.catalog import (
    VAR,
    compare,
    is_goal_met,
    make_environment,
    print_results,
    run_manage,
)
from config.environment import BASE_DIR
from config.local import LocalServices
from config.local.run import read_procfile

DATABASE = "bench_fairness"
PROCESSES = ("worker", "mail", "beat")
ROUNDS = 15
MAX_RATIO = 2.0
TIMEOUT_S = 120.0
POLL_INTERVAL_S = 0.005
SMTP_SECONDS = 0.2
PARTS = "pump valve sensor fan contract report budget".split()
EVENTS = "failed in hall two,was replaced on Monday,arrived late,needs an engineer".split(",")
# About 5,000 characters, as the minutes of a meeting have.
NOTE = " ".join(
    f"The {part} of machine {number} {event}."
    for number in range(1, 5)
    for part in PARTS
    for event in EVENTS
)
CLAIM_BACKLOG = 100_000
CLAIM_ROUNDS = 50


def run(
    queued: int, rounds: int = ROUNDS, *, max_ratio: float = MAX_RATIO, claims: bool = False
) -> list[dict[str, Any]]:
    """Return the ratios of times with `queued` jobs of another company to idle times.

    With `claims` also those of claims with and without turns, among 100,000 queued summaries.
    """
    VAR.mkdir(parents=True, exist_ok=True)
    with LocalServices(VAR) as services, SmtpServer().serving() as mail_server:
        mail_server.delay_s = SMTP_SECONDS
        env = set_up_django(services, mail_server.port)
        with run_processes(env):
            results = list(compare_with_backlog(queued, rounds, max_ratio))
        return results + (list(compare_claims()) if claims else [])


def set_up_django(services: LocalServices, smtp_port: int) -> dict[str, str]:
    """Create a database and set up Django in this process; return the environment."""
    env = make_environment(DATABASE, services) | {
        "CELERY_BROKER_URL": f"redis+socket://{services.redis_socket}?virtual_host=6",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LOG_LEVEL": "ERROR",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(smtp_port),
        "EMAIL_USE_TLS": "false",
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


def compare_with_backlog(queued: int, rounds: int, max_ratio: float) -> Iterator[dict[str, Any]]:
    """Compare a note and a password mail with `queued` jobs of another company and without."""
    busy, guest = make_user("busy"), make_user("guest")
    measurements: dict[str, tuple[Callable[[Any], float], Callable[[Any, int], None]]] = {
        "a note, behind notes": (time_note, queue_notes),
        "a text of a batch, behind batches": (time_batch, queue_batches),
        "a password mail, behind notes": (time_password_mail, queue_notes),
        "a password mail, behind mails": (time_password_mail, queue_mails),
    }
    for what, (measure, queue_backlog) in measurements.items():
        measure(guest)
        idle = [measure(guest) for _ in range(rounds)]
        queue_backlog(busy, queued)
        loaded = [measure(guest) for _ in range(rounds)]
        remaining = cancel_backlog(busy)
        if not remaining:
            raise RuntimeError(f"{queued} jobs ended too early to measure anything behind them.")
        yield {
            "what": f"{what}: ms with {queued} queued, against idle",
            "goal": -max_ratio,
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
    return f"Order {uuid4()} was sent. {NOTE}"


def time_note(user: Any) -> float:
    """Return the seconds from creating a note to its stored summary."""
    from notes import services

    start = time.perf_counter()
    note = services.create_note(by=user, raw_text=make_text())
    _wait_until_completed(type(note.own_summary).objects.filter(pk=note.own_summary.pk))
    return time.perf_counter() - start


def time_batch(user: Any) -> float:
    """Return the seconds from creating a batch of one text to its stored summary."""
    from notes import services
    from notes.summary_options import SummaryOptions

    start = time.perf_counter()
    batch = services.create_batch(by=user, texts=[make_text()], options=SummaryOptions())
    _wait_until_completed(batch.summaries.all())
    return time.perf_counter() - start


def time_password_mail(user: Any) -> float:
    """Return the seconds from requesting a password reset to the sent mail."""
    from accounts.models import Mail, PasswordReset

    Mail.objects.filter(user=user).delete()  # A user gets three such mails a day.
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


def queue_batches(user: Any, count: int) -> None:
    from notes import services
    from notes.summary_options import SummaryOptions

    texts = (make_text() for _ in range(count))
    services.create_batch(by=user, texts=texts, options=SummaryOptions())


def queue_mails(user: Any, count: int) -> None:
    from accounts.models import Mail, MailKind

    mail = {"company": user.company, "user": user, "to": user.email, "kind": MailKind.WELCOME}
    Mail.objects.enqueue_many([Mail(**mail) for _ in range(count)])


def cancel_backlog(user: Any) -> int:
    """Cancel the user's jobs and return how many had not ended."""
    from accounts.models import Mail
    from notes.models import Summary

    rows = (model.objects.filter(user=user) for model in (Summary, Mail))
    return sum(len(jobs.cancel_all()) for jobs in rows)


def compare_claims() -> Iterator[dict[str, Any]]:
    """Compare claims with turns with claims of given rows, among 100,000 of one company."""
    from common.jobs import runner
    from notes.models import Summary

    queue_summaries(make_user("claims"), CLAIM_BACKLOG)
    queued = Summary.objects.filter(status="queued").order_by("-id").values_list("pk", flat=True)
    rows = iter(list(queued[: 4 * (ROUNDS + 1) * CLAIM_ROUNDS]))
    kinds = {
        "ms a claim": (
            lambda: Summary.objects.claim_next("jobs"),
            lambda: Summary.objects.claim(next(rows)),
        ),
        "ms a summary": (
            lambda: runner.run_next(Summary, "jobs"),
            lambda: runner.run(Summary, next(rows)),
        ),
    }
    for what, (by_turns, by_row) in kinds.items():
        result = compare(lambda f=by_turns: measure_ms(f), lambda f=by_row: measure_ms(f))
        yield {
            "what": f"{what} among {CLAIM_BACKLOG:,}, against given rows",
            "goal": -4.0,
            **result,
        }


def queue_summaries(user: Any, count: int) -> None:
    """Insert summaries without messages."""
    from notes.models import Summary, SummarySource

    for _ in range(count // 1000):
        summaries = [Summary(company=user.company, user=user, max_words=50) for _ in range(1000)]
        Summary.objects.bulk_create(summaries)
        SummarySource.objects.bulk_create(
            SummarySource(company=user.company, summary=summary, text=make_text())
            for summary in summaries
        )


def measure_ms(function: Callable[[], Any]) -> float:
    """Return the mean time of a call in milliseconds."""
    start = time.perf_counter()
    for _ in range(CLAIM_ROUNDS):
        if function() is None:
            raise RuntimeError("Nothing was claimed.")
    return (time.perf_counter() - start) / CLAIM_ROUNDS * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queued", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--max-ratio", type=float, default=MAX_RATIO)
    parser.add_argument("--claims", action="store_true")
    options = parser.parse_args()
    results = run(
        options.queued, options.rounds, max_ratio=options.max_ratio, claims=options.claims
    )
    print_results(results)
    (VAR / "fairness.json").write_text(json.dumps(results, indent=1))
    return 0 if all(map(is_goal_met, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
