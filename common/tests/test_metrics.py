"""`/metrics`: right over processes and restarts, bounded, guarded, and there without a database."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from common import metrics
from common.ai.types import Call
from common.jobs import runner
from common.jobs.status import JobStatus
from common.metrics import exporter, scrape
from common.tests.models import SampleJob
from common.tests.support import Broker, Worker, eventually, lock_table
from config.local import LocalServices

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]

# Forks processes that count, restarts some and kills others, and prints what a scrape tells.
HOUSE = """
import os, signal, sys
import django; django.setup()
from common import metrics
from common.metrics import instruments, multiprocess, scrape

def process(count, *, killed=False):
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        for _ in range(count):
            record_http_request("/x", "GET", 200, 0.004)
        instruments.POOL_SIZE.set(count)
        os.write(ready[1], b"1")
        os.read(go[0], 1)
        os.kill(os.getpid(), signal.SIGKILL) if killed else os._exit(0)
    os.read(ready[0], 1)
    return lambda: (os.write(go[1], b"1"), os.waitpid(child, 0))

record_http_request("/x", "GET", 200, 0.004)
living = [process(10), process(20), process(30, killed=True)]
living.pop()()
living.pop()()
for _ in range(3):
    process(100)()
living.append(process(1000))
print(len(list(multiprocess.FOLDER.glob("counter_*.db"))))
print(scrape.render(with_database=False)[0].decode())
[end() for end in living]
"""


def read(text: str) -> Figures:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@pytest.fixture
def figures(client: Client) -> Callable[[], Figures]:
    return lambda: read(client.get("/metrics").content.decode())


def test_sums_hold_over_processes_restarts_and_kills(tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", HOUSE], env=environment, capture_output=True, text=True, check=True
    )
    files, _, text = done.stdout.partition("\n")
    found = read(text)
    counted = 1 + 10 + 20 + 30 + 3 * 100 + 1000
    assert found[key("bureau_http_requests_total", route="/x", method="GET", status="200")] == (
        counted
    )
    times = {"route": "/x", "method": "GET"}
    assert found[key("bureau_http_request_duration_seconds_count", **times)] == counted
    assert found[key("bureau_http_request_duration_seconds_bucket", **times, le="0.0025")] == 0
    # Of the dead nothing is said that was true of them while they lived.
    assert found[key("bureau_database_pool_size")] == 10 + 1000
    # At most four lived at once.
    assert int(files) == 4


@pytest.mark.django_db(transaction=True)
class TestContents:
    def test_requests_by_template(self, client: Client, figures: Callable[[], Figures]) -> None:
        before = figures()
        pk = "0" * 8 + "-0000-0000-0000-" + "0" * 12
        client.get(f"/api/v1/notes/{pk}")
        client.get("/no/such/place")
        client.generic("FROBNICATE", "/health")
        client.get("/api/products")
        client.get("/api/products")
        after = figures()

        def more(**labels: str) -> float:
            found = key("bureau_http_requests_total", **labels)
            return after.get(found, 0) - before.get(found, 0)

        assert more(route="/api/v1/notes/<uuid:pk>", method="GET", status="401") == 1
        assert more(route="unmatched", method="GET", status="404") == 1
        assert more(route="/health", method="other", status="405") == 1
        assert more(route="/api/v1/products", method="GET", status="200") == 2
        assert more(route="/metrics", method="GET", status="200") == 1
        hits = key("bureau_cache_requests_total", namespace="products", result="hit")
        assert after[hits] - before.get(hits, 0) == 1

    def test_labels_are_bounded(self, client: Client, figures: Callable[[], Figures]) -> None:
        client.get("/no")
        client.get("/static/no")
        before = set(figures())
        for number in range(30):
            client.get(f"/no/{number}")
            client.get(f"/static/{number}")
            client.get(f"/no?{number}")
            client.generic(f"VERB{number}", "/no")
        new = [dict(labels) for _, labels in set(figures()) - before]
        values = {value for labels in new for value in labels.values()}
        assert not [v for v in values if v.startswith(("/no", "/static/n", "/static/1", "VERB"))]
        # Room for the one label that all unknown methods share; other tests may add their routes.
        assert len([labels for labels in new if labels.get("route") == "unmatched"]) <= 20

    def test_jobs_by_kind_and_outcome(self, figures: Callable[[], Figures]) -> None:
        before = figures()
        for action in ("work", "fail", "later"):
            runner.run(SampleJob, SampleJob.objects.create(action=action).pk)
        SampleJob.objects.create().cancel()
        after = figures()
        kind = {"kind": "tests.SampleJob"}
        for outcome in ("completed", "failed", "retried", "cancelled"):
            found = key("bureau_jobs_total", **kind, outcome=outcome)
            assert after[found] - before.get(found, 0) == 1, outcome
        for name in ("bureau_job_run_seconds_count", "bureau_job_wait_seconds_count"):
            assert after[key(name, **kind)] - before.get(key(name, **kind), 0) == 3

    def test_what_waits_is_read_from_the_database(self, figures: Callable[[], Figures]) -> None:
        now = timezone.now()
        SampleJob.objects.create(run_after=now - timezone.timedelta(seconds=90))
        SampleJob.objects.create(run_after=now + timezone.timedelta(seconds=90))
        SampleJob.objects.create(status=JobStatus.IN_PROGRESS, lease_until=now)
        SampleJob.objects.create(status=JobStatus.COMPLETED)
        found, kind = figures(), {"kind": "tests.SampleJob", "queue": "jobs"}
        assert found[key("bureau_database_up")] == 1
        assert found[key("bureau_jobs_queued", **kind)] == 2
        assert found[key("bureau_jobs_in_progress", **kind)] == 1
        assert 90 <= found[key("bureau_jobs_oldest_seconds", **kind)] < 120

    def test_a_worker_counts_too(self, figures: Callable[[], Figures], tmp_path: Path) -> None:
        done = key("bureau_jobs_total", kind="tests.SampleJob", outcome="completed")
        before = figures().get(done, 0)
        with (
            Broker(lambda: LocalServices(tmp_path, postgres=False)) as broker,
            Worker(broker.url, tmp_path),
        ):
            jobs = [SampleJob.objects.enqueue() for _ in range(6)]
            eventually(
                lambda: not SampleJob.objects.exclude(status=JobStatus.COMPLETED).exists(),
                "all done",
            )
        eventually(lambda: figures()[done] - before == len(jobs), "all are counted")

    def test_a_database_that_hangs(self, figures: Callable[[], Figures]) -> None:
        scrape.render()  # loads what is loaded lazily
        with lock_table(SampleJob):
            started = time.monotonic()
            text, _ = scrape.render()
            assert time.monotonic() - started < 2
            assert read(text.decode())[key("bureau_database_up")] == 0
        eventually(lambda: figures()[key("bureau_database_up")] == 1, "it is up again")

    def test_a_database_that_is_away(
        self, figures: Callable[[], Figures], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any) -> Any:
            raise OperationalError("connection refused")

        monkeypatch.setattr(scrape.transaction, "atomic", refused)
        assert figures()[key("bureau_database_up")] == 0


@pytest.mark.django_db
class TestForm:
    def test_openmetrics_on_request(self, client: Client) -> None:
        accept = "application/openmetrics-text; version=1.0.0"
        response = client.get("/metrics", headers={"accept": accept})
        assert response["Content-Type"].startswith("application/openmetrics-text")
        assert response.content.endswith(b"# EOF\n")

    @pytest.mark.parametrize("accept", ["", "text/html", "text/plain; version=x", "*/*;q=y"])
    def test_plain_otherwise(self, client: Client, accept: str) -> None:
        response = client.get("/metrics", headers={"accept": accept})
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain")

    def test_nothing_is_written(self, client: Client) -> None:
        assert client.post("/metrics").status_code == 405


@pytest.mark.django_db
class TestGuard:
    def status(self, client: Client, **headers: str) -> int:
        return client.get("/metrics", headers=headers, REMOTE_ADDR="203.0.113.9").status_code

    def test_open_in_development(self, client: Client, settings: Any) -> None:
        settings.METRICS_OPEN = True
        assert self.status(client) == 200

    def test_closed_elsewhere(self, client: Client, settings: Any) -> None:
        settings.METRICS_OPEN = False
        response = client.get("/metrics")
        assert (response.status_code, response.json()["status"]) == (403, 403)
        assert self.status(client, authorization="Bearer ") == 403

    @pytest.mark.parametrize("debug", [True, False])
    def test_a_token_holds_everywhere(self, client: Client, settings: Any, debug: bool) -> None:
        settings.METRICS_OPEN, settings.METRICS_TOKEN = debug, "right-ünicode"
        assert self.status(client, authorization="Bearer right-ünicode") == 200
        assert self.status(client, authorization="bearer right-ünicode") == 200
        for wrong in ("Bearer wrong", "Bearer", "right-ünicode", "Basic right-ünicode", ""):
            assert self.status(client, authorization=wrong) == 401
        assert "WWW-Authenticate" in client.get("/metrics")

    def test_addresses(self, client: Client, settings: Any) -> None:
        settings.METRICS_OPEN, settings.METRICS_ALLOW = False, ["203.0.113.0/24"]
        assert self.status(client) == 200
        assert client.get("/metrics", REMOTE_ADDR="198.51.100.1").status_code == 403
        forged = {"x-forwarded-for": "203.0.113.9"}
        assert client.get("/metrics", headers=forged, REMOTE_ADDR="198.51.100.1").status_code == 403


def test_tokens_and_cost_by_model(db: None, figures: Callable[[], Figures]) -> None:
    call = Call(
        model="some-model",
        outcome="ok",
        status=200,
        attempt=1,
        prompt_tokens=100,
        completion_tokens=20,
        cached_tokens=60,
        cost_usd=Decimal("0.25"),
        duration_ms=1500,
    )
    before = figures()
    record_request(call)
    record_usage("some-model", Decimal("0.5"), prompt=7, completion=3)  # of another, later
    after = figures()

    def more(name: str, **labels: str) -> float:
        found = key(name, model="some-model", **labels)
        return after[found] - before.get(found, 0)

    assert more("bureau_ai_requests_total", outcome="ok") == 1
    assert more("bureau_ai_tokens_total", type="prompt") == 107
    assert more("bureau_ai_tokens_total", type="completion") == 23
    assert more("bureau_ai_tokens_total", type="cached") == 60
    assert more("bureau_ai_cost_usd_total") == 0.75
    assert more("bureau_ai_request_duration_seconds_sum") == 1.5


class TestExporter:
    """What a worker on a machine of its own answers at `METRICS_PORT`."""

    def answer(self, path: str = "/metrics", **environ: str) -> tuple[str, str]:
        given: dict[str, str] = {"PATH_INFO": path, "REQUEST_METHOD": "GET", **environ}
        status: list[str] = []
        body = b"".join(exporter.application(given, lambda line, _: status.append(line)))
        return status[0], body.decode()

    def test_its_own_figures(self) -> None:
        metrics.sweep_ended("ok")
        status, body = self.answer()
        assert status == "200 OK"
        assert key("bureau_job_sweeps_total", outcome="ok") in read(body)
        assert "bureau_jobs_queued" not in body
        assert self.answer("/")[0] == "404 Not Found"

    def test_the_same_guard(self, settings: Any) -> None:
        settings.METRICS_TOKEN = "right"
        assert self.answer()[0] == "401 Unauthorized"
        assert self.answer(HTTP_AUTHORIZATION="Bearer right")[0] == "200 OK"

    def test_by_http(self, settings: Any, unused_port: int) -> None:
        settings.METRICS_PORT, settings.HOST = unused_port, "127.0.0.1"
        server = exporter.start_exporter()
        assert server is not None
        with urlopen(f"http://127.0.0.1:{unused_port}/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain")
        # Where the port is taken the process goes on without.
        assert exporter.start_exporter() is None
        server.shutdown()
        server.server_close()
