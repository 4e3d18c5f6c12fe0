"""What real processes report: health, metrics, logs, and why they don't start."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pytest_httpserver import HTTPServer

from accounts.models import User
from common.jobs.status import JobStatus
from common.migration_checksums import record_applied_migrations
from common.models import AppliedMigration
from common.tests.models import SampleJob
from common.tests.support import Broker, Worker, eventually, reject_rows
from common.tests.support.metrics import Samples, key, parse
from common.tests.support.worker import database_url
from notes.models import Summary

CANARY = "Kanarienvogel81"
TEXT = f"{CANARY}: the pump failed on Monday. {CANARY} replaced it on Tuesday, with the spare one."

# Forks processes that count, lets some exit and kills others, and prints a scrape.
FORKING_PROGRAM = """
import os, signal, sys
import django; django.setup()
from common.metrics import connection_pool, multiprocess, scrape
from common.metrics.http_requests import record_http_request

def start_process(count, *, killed=False):
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        for _ in range(count):
            record_http_request("/x", "GET", 200, 0.004)
        connection_pool.SIZE.set(count)
        os.write(ready[1], b"1")
        os.read(go[0], 1)
        os.kill(os.getpid(), signal.SIGKILL) if killed else os._exit(0)
    os.read(ready[0], 1)
    return lambda: (os.write(go[1], b"1"), os.waitpid(child, 0))

record_http_request("/x", "GET", 200, 0.004)
living = [start_process(10), start_process(20), start_process(30, killed=True)]
living.pop()()
living.pop()()
for _ in range(3):
    start_process(100)()
living.append(start_process(1000))
print(len(list(multiprocess.FOLDER.glob("counter_*.db"))))
print(scrape.render(with_database=False)[0].decode())
[end() for end in living]
"""


@pytest.mark.django_db(transaction=True)
def test_ready_names_workers_that_start_and_die(client: Client, tmp_path: Path) -> None:
    def worker_check() -> str:
        return client.get("/ready").json()["checks"]["worker"]

    with Broker(tmp_path) as broker:
        assert worker_check() == "unavailable"
        with Worker(broker.url, tmp_path) as worker:
            eventually(lambda: worker_check() == "ok", "the worker is found")
            worker.kill()
            eventually(lambda: worker_check() == "unavailable", "the worker is gone")


def test_counters_include_ended_and_killed_processes(tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    completed = subprocess.run(
        [sys.executable, "-c", FORKING_PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    files, _, text = completed.stdout.partition("\n")
    values = parse(text)
    expected = 1 + 10 + 20 + 30 + 3 * 100 + 1000
    labels = {"route": "/x", "method": "GET"}
    assert values[key("bureau_http_requests_total", **labels, status="200")] == expected
    assert values[key("bureau_http_request_duration_seconds_count", **labels)] == expected
    assert values[key("bureau_http_request_duration_seconds_bucket", **labels, le="0.0025")] == 0
    # The gauges of dead processes are left out.
    assert values[key("bureau_database_pool_size")] == 10 + 1000
    # At most four processes lived at the same time.
    assert int(files) == 4


@pytest.mark.django_db(transaction=True)
def test_the_values_of_a_worker_are_included(client: Client, tmp_path: Path) -> None:
    def samples() -> Samples:
        return parse(client.get("/metrics").content.decode())

    done = key("bureau_jobs_total", kind="tests.SampleJob", outcome="completed")
    before = samples().get(done, 0)
    with (
        Broker(tmp_path) as broker,
        Worker(broker.url, tmp_path),
    ):
        jobs = [SampleJob.objects.enqueue() for _ in range(6)]
        eventually(
            lambda: not SampleJob.objects.exclude(status=JobStatus.COMPLETED).exists(),
            "all done",
        )
        # The row is stored before the job is counted, so the worker must still run here.
        eventually(lambda: samples()[done] - before == len(jobs), "all are counted")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import config.wsgi"],
        ["manage.py", "grpcserver", "--port", "0"],
        ["-m", "celery", "--quiet", "--app", "config", "worker", "--pool", "solo"],
        ["-m", "celery", "--quiet", "--app", "config", "beat"],
    ],
    ids=["web", "grpc", "worker", "beat"],
)
def test_a_process_refuses_to_start_with_the_database_of_an_edited_migration(
    arguments: list[str], tmp_path: Path
) -> None:
    record_applied_migrations(using="default")
    AppliedMigration.objects.filter(name="notes.0001_initial").update(checksum="0" * 64)
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings_for_tests",
        "DATABASE_URL": database_url(),
        "VAR_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "Bureau can't start. This database was made by another form of" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_worker_logs_no_data_but_the_request_id(
    tmp_path: Path, as_user: Any, owner: User, httpserver: HTTPServer
) -> None:
    def answer(text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}}

    chat = ("/v1/chat/completions", "POST")
    # First a summary that the database rejects, with an error that quotes it; then errors that
    # quote the API key.
    httpserver.expect_oneshot_request(*chat).respond_with_json(answer(f"{CANARY} was busy."))
    httpserver.expect_request(*chat).respond_with_json(
        {"error": {"message": f"Incorrect API key provided: {CANARY}-key. {TEXT}"}}, status=401
    )
    environment = {
        "LOG_LEVEL": "DEBUG",
        "OPENAI_API_KEY": f"{CANARY}-key",
        "OPENAI_BASE_URL": httpserver.url_for("/v1"),
    }
    with (
        reject_rows(Summary, "status = 'completed'"),
        Broker(tmp_path) as broker,
        Worker(broker.url, tmp_path, environment=environment) as worker,
    ):
        client, named = as_user(owner), {"x-request-id": "from-web-to-worker"}
        for number in range(2):
            client.post(
                "/api/v1/notes", {"raw_text": f"{TEXT} {number}", "title": CANARY}, headers=named
            )
        eventually(lambda: Summary.objects.filter(status=JobStatus.FAILED).exists(), "one failed")
        eventually(lambda: worker.has_logged("job_end_error"), "the other was rejected")
        eventually(lambda: worker.read_log().count('"event": "job"') >= 2, "both are logged")
        text = worker.read_log()
    assert "IntegrityError" in text
    assert [line for line in text.splitlines() if CANARY in line] == []
    jobs = [json.loads(line) for line in text.splitlines() if '"event": "job"' in line]
    assert {(job["request_id"], job["user"], job["company"], job["kind"]) for job in jobs} == {
        ("from-web-to-worker", str(owner.pk), str(owner.company_id), "notes.Summary")
    }
