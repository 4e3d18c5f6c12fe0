"""`/metrics`: sums over processes and restarts, labels, access, and no database."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.request import urlopen

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from common.ai.metrics import record_request, record_usage
from common.ai.types import CallRecord
from common.jobs import metrics as job_metrics
from common.jobs import runner
from common.jobs.status import JobStatus
from common.metrics import exporter, scrape
from common.tests.models import SampleJob
from common.tests.support import eventually, lock_table
from common.tests.support.metrics import Samples, key, parse

pytestmark = pytest.mark.slow


@pytest.fixture
def samples(client: Client) -> Callable[[], Samples]:
    return lambda: parse(client.get("/metrics").content.decode())


@pytest.mark.django_db(transaction=True)
class TestContents:
    def test_requests_are_counted_by_route_template(
        self, client: Client, samples: Callable[[], Samples]
    ) -> None:
        before = samples()
        pk = "0" * 8 + "-0000-0000-0000-" + "0" * 12
        client.get(f"/api/v1/notes/{pk}")
        client.get("/no/such/place")
        client.generic("FROBNICATE", "/health")
        client.get("/api/products")
        client.get("/api/products")
        after = samples()

        def increase(**labels: str) -> float:
            series = key("bureau_http_requests_total", **labels)
            return after.get(series, 0) - before.get(series, 0)

        assert increase(route="/api/v1/notes/<uuid:pk>", method="GET", status="401") == 1
        assert increase(route="unmatched", method="GET", status="404") == 1
        assert increase(route="/health", method="other", status="405") == 1
        assert increase(route="/api/v1/products", method="GET", status="200") == 2
        assert increase(route="/metrics", method="GET", status="200") == 1
        hits = key("bureau_cache_requests_total", namespace="products", result="hit")
        assert after[hits] - before.get(hits, 0) == 1

    def test_unknown_paths_and_methods_add_no_labels(
        self, client: Client, samples: Callable[[], Samples]
    ) -> None:
        client.get("/no")
        client.get("/static/no")
        before = set(samples())
        for number in range(30):
            client.get(f"/no/{number}")
            client.get(f"/static/{number}")
            client.get(f"/no?{number}")
            client.generic(f"VERB{number}", "/no")
        new = [dict(labels) for _, labels in set(samples()) - before]
        values = {value for labels in new for value in labels.values()}
        assert not [v for v in values if v.startswith(("/no", "/static/n", "/static/1", "VERB"))]
        # All unknown methods share one label; other tests may have added routes.
        assert len([labels for labels in new if labels.get("route") == "unmatched"]) <= 20

    def test_jobs_are_counted_by_kind_and_outcome(self, samples: Callable[[], Samples]) -> None:
        before = samples()
        for action in ("work", "fail", "later"):
            runner.run(SampleJob, SampleJob.objects.create(action=action).pk)
        SampleJob.objects.create().cancel()
        after = samples()
        kind = {"kind": "tests.SampleJob"}
        for outcome in ("completed", "failed", "retried", "cancelled"):
            series = key("bureau_jobs_total", **kind, outcome=outcome)
            assert after[series] - before.get(series, 0) == 1, outcome
        for name in ("bureau_job_run_seconds_count", "bureau_job_wait_seconds_count"):
            assert after[key(name, **kind)] - before.get(key(name, **kind), 0) == 3

    def test_active_jobs_are_read_from_the_database(self, samples: Callable[[], Samples]) -> None:
        now = timezone.now()
        SampleJob.objects.create(run_after=now - timezone.timedelta(seconds=90))
        SampleJob.objects.create(run_after=now + timezone.timedelta(seconds=90))
        SampleJob.objects.create(status=JobStatus.IN_PROGRESS, lease_until=now)
        SampleJob.objects.create(status=JobStatus.COMPLETED)
        values, kind = samples(), {"kind": "tests.SampleJob", "queue": "jobs"}
        assert values[key("bureau_database_up")] == 1
        assert values[key("bureau_jobs_queued", **kind)] == 2
        assert values[key("bureau_jobs_in_progress", **kind)] == 1
        assert 90 <= values[key("bureau_jobs_oldest_seconds", **kind)] < 120

    def test_a_scrape_does_not_wait_for_a_hanging_database(
        self, samples: Callable[[], Samples]
    ) -> None:
        scrape.render()  # warm up
        with lock_table(SampleJob):
            started = time.monotonic()
            text, _ = scrape.render()
            assert time.monotonic() - started < 2
            assert parse(text.decode())[key("bureau_database_up")] == 0
        eventually(lambda: samples()[key("bureau_database_up")] == 1, "the database is up")

    def test_an_unavailable_database_is_reported_as_down(
        self, samples: Callable[[], Samples], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any) -> Any:
            raise OperationalError("connection refused")

        monkeypatch.setattr(scrape.transaction, "atomic", refused)
        assert samples()[key("bureau_database_up")] == 0


@pytest.mark.django_db
class TestFormat:
    def test_openmetrics_is_sent_on_request(self, client: Client) -> None:
        accept = "application/openmetrics-text; version=1.0.0"
        response = client.get("/metrics", headers={"accept": accept})
        assert response["Content-Type"].startswith("application/openmetrics-text")
        assert response.content.endswith(b"# EOF\n")

    @pytest.mark.parametrize("accept", ["", "text/html", "text/plain; version=x", "*/*;q=y"])
    def test_plain_text_is_the_default(self, client: Client, accept: str) -> None:
        response = client.get("/metrics", headers={"accept": accept})
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain")

    def test_post_is_not_allowed(self, client: Client) -> None:
        assert client.post("/metrics").status_code == 405


@pytest.mark.django_db
class TestAccess:
    def get_status(self, client: Client, **headers: str) -> int:
        return client.get("/metrics", headers=headers, REMOTE_ADDR="203.0.113.9").status_code

    def test_access_is_open_in_development(self, client: Client, settings: Any) -> None:
        settings.METRICS_OPEN = True
        assert self.get_status(client) == 200

    def test_access_is_denied_in_production_without_settings(
        self, client: Client, settings: Any
    ) -> None:
        settings.METRICS_OPEN = False
        response = client.get("/metrics")
        assert (response.status_code, response.json()["status"]) == (403, 403)
        assert self.get_status(client, authorization="Bearer ") == 403

    @pytest.mark.parametrize("debug", [True, False])
    def test_a_token_is_required_in_development_and_production(
        self, client: Client, settings: Any, debug: bool
    ) -> None:
        settings.METRICS_OPEN, settings.METRICS_TOKEN = debug, "right-ünicode"
        assert self.get_status(client, authorization="Bearer right-ünicode") == 200
        assert self.get_status(client, authorization="bearer right-ünicode") == 200
        for wrong in ("Bearer wrong", "Bearer", "right-ünicode", "Basic right-ünicode", ""):
            assert self.get_status(client, authorization=wrong) == 401
        assert "WWW-Authenticate" in client.get("/metrics")

    def test_an_allowed_address_gives_access(self, client: Client, settings: Any) -> None:
        settings.METRICS_OPEN, settings.METRICS_ALLOW = False, ["203.0.113.0/24"]
        assert self.get_status(client) == 200
        assert client.get("/metrics", REMOTE_ADDR="198.51.100.1").status_code == 403
        forged = {"x-forwarded-for": "203.0.113.9"}
        assert client.get("/metrics", headers=forged, REMOTE_ADDR="198.51.100.1").status_code == 403


def test_tokens_and_cost_are_counted_by_model(db: None, samples: Callable[[], Samples]) -> None:
    call = CallRecord(
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
    before = samples()
    record_request(call)
    record_usage("some-model", Decimal("0.5"), prompt=7, completion=3)  # of another request
    after = samples()

    def increase(name: str, **labels: str) -> float:
        series = key(name, model="some-model", **labels)
        return after[series] - before.get(series, 0)

    assert increase("bureau_ai_requests_total", outcome="ok") == 1
    assert increase("bureau_ai_tokens_total", type="prompt") == 107
    assert increase("bureau_ai_tokens_total", type="completion") == 23
    assert increase("bureau_ai_tokens_total", type="cached") == 60
    assert increase("bureau_ai_cost_usd_total") == 0.75
    assert increase("bureau_ai_request_duration_seconds_sum") == 1.5


class TestExporter:
    """The server of a worker at `METRICS_PORT`."""

    def get(self, path: str = "/metrics", **environ: str) -> tuple[str, str]:
        request: dict[str, str] = {"PATH_INFO": path, "REQUEST_METHOD": "GET", **environ}
        status: list[str] = []
        body = b"".join(exporter.application(request, lambda line, _: status.append(line)))
        return status[0], body.decode()

    def test_it_serves_the_shared_values_without_the_database(self) -> None:
        job_metrics.record_sweep("ok")
        status, body = self.get()
        assert status == "200 OK"
        assert key("bureau_job_sweeps_total", outcome="ok") in parse(body)
        assert "bureau_jobs_queued" not in body
        assert self.get("/")[0] == "404 Not Found"

    def test_it_checks_access(self, settings: Any) -> None:
        settings.METRICS_TOKEN = "right"
        assert self.get()[0] == "401 Unauthorized"
        assert self.get(HTTP_AUTHORIZATION="Bearer right")[0] == "200 OK"

    def test_it_listens_at_the_port_if_that_is_free(self, settings: Any, unused_port: int) -> None:
        settings.METRICS_PORT, settings.HOST = unused_port, "127.0.0.1"
        server = exporter.start_exporter()
        assert server is not None
        with urlopen(f"http://127.0.0.1:{unused_port}/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain")
        # The port is in use now: the process goes on without an exporter.
        assert exporter.start_exporter() is None
        server.shutdown()
        server.server_close()
