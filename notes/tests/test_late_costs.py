"""What an answer cost that nobody waited for reaches the ledger all the same, by the courier."""

import os
import subprocess
import sys
from typing import Any

import psutil
import pytest
from django.db import connection

from accounts.models import User
from common import ai
from common.ai.provider.transport import ROOT
from common.jobs.models import JobStatus
from common.tests.support import eventually
from common.tests.support.ai_provider import Exchange, FakeProvider, answer, fail, slow
from common.tests.support.worker import database_url
from config.local.processes import find_by_environment
from notes.models import Call, Summary
from notes.tests.factories import TextSummaryFactory

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "The pump was looked at by many people. " * 1500


@pytest.fixture
def summary(owner: User) -> Summary:
    return TextSummaryFactory(user=owner, text="The pump failed on Monday, and again on Tuesday.")


@pytest.fixture
def impatient(settings: Any, provider: FakeProvider) -> None:
    """0.3 seconds for a request."""
    settings.OPENAI = settings.OPENAI | {"timeout": 0.3}
    ai.summarizer.cache_clear()


def in_ledger(provider: FakeProvider) -> bool:
    """Whether all that was answered is, in the ledger and in the summaries' sums."""
    if not provider.requests or not all(request.ended for request in provider.requests):
        return False
    names = ("prompt_tokens", "completion_tokens")
    used = {name: provider.tokens(name) for name in names}
    sums = [Call.objects.totals(), *Summary.objects.values(*names)]
    return all({name: told[name] for name in names} == used for told in sums)


def couriers(name: str, value: str) -> list[psutil.Process]:
    """Those that were started with this in their environment."""
    known = find_by_environment(name, value)
    return [process for process in known if "common.ai.courier" in process.cmdline()]


def my_courier() -> psutil.Process:
    (courier,) = couriers("DATABASE_URL", database_url())
    return courier


@pytest.mark.usefixtures("impatient")
def test_of_an_answer_that_comes_after_its_time(
    summary: Summary, provider: FakeProvider, run: Any
) -> None:
    provider.default = slow(0.6)
    job = run(summary.pk)
    assert (job.status, job.prompt_tokens) == (JobStatus.QUEUED, 0)
    eventually(lambda: in_ledger(provider), "the answer is in the ledger")
    call = Call.objects.get()
    assert (call.outcome, call.status) == ("timeout", None)
    assert call.prompt_tokens > 0
    assert call.cost_usd > 0


def test_of_parts_that_were_given_up(owner: User, provider: FakeProvider, run: Any) -> None:
    def behave(exchange: Exchange) -> None:
        (fail(401) if "part 2 of" in exchange.system else slow(0.3))(exchange)

    provider.default = behave
    job = run(TextSummaryFactory(user=owner, text=LONG * 4).pk)
    assert job.status == JobStatus.FAILED
    assert len(provider.requests) > 1
    eventually(lambda: in_ledger(provider), "the answers are in the ledger")
    assert set(Call.objects.values_list("outcome", flat=True)) == {"error"}


def test_of_a_summary_that_was_cancelled(
    summary: Summary, provider: FakeProvider, run: Any
) -> None:
    def cancel(exchange: Exchange) -> None:
        Summary.objects.get(pk=summary.pk).cancel()
        connection.close()
        answer()(exchange)

    provider.default = cancel
    assert run(summary.pk).status == JobStatus.CANCELLED
    assert Call.objects.get().outcome == "ok"
    assert in_ledger(provider)


def test_a_courier_that_died_is_replaced(
    summary: Summary, provider: FakeProvider, run: Any
) -> None:
    """Its request is lost with it, as nobody else knows of the answer."""

    def kill(exchange: Exchange) -> None:
        my_courier().kill()

    provider.then(kill)
    assert run(summary.pk).status == JobStatus.COMPLETED
    first, second = Call.objects.order_by("pk")
    assert (first.outcome, first.prompt_tokens, second.outcome) == ("error", 0, "ok")
    assert "has died" in first.error


def test_what_others_see_of_a_courier(summary: Summary, provider: FakeProvider, run: Any) -> None:
    run(summary.pk)
    courier = my_courier()
    assert provider.requests[0].headers["authorization"] == "Bearer sk-test"
    assert "sk-test" not in repr((courier.cmdline(), courier.environ()))
    assert courier.ppid() != os.getpid()
    assert os.getsid(courier.pid) != os.getsid(0)


def test_a_courier_ends_with_who_started_it() -> None:
    code = """if True:
        import sys
        from common.ai.provider.transport import _started
        courier = _started("reconcile_calls")
        print("started", flush=True)
        sys.stdin.read()
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PGAPPNAME": "courier-ends"},
    )
    with worker:
        assert worker.stdout.readline() == b"started\n"
        assert len(couriers("PGAPPNAME", "courier-ends")) == 1
        worker.kill()
    eventually(lambda: not couriers("PGAPPNAME", "courier-ends"), "the courier has ended")
