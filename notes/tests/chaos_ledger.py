"""The ledger compared with the provider's usage, while requests and workers fail at random.

The provider fails, hangs, closes connections early and is slow. One or all processes of the worker
are killed during their requests. `make chaos-ai` does it with a thousand calls.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from io import StringIO
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from django.core.management import call_command
from django.db.models import Sum
from django.db.models.functions import Now

from accounts.models import User
from common.ai.types import Usage
from common.jobs.status import ACTIVE, JobStatus
from common.tests.support import Beat, Broker, Worker, eventually
from common.tests.support import ai_provider as ai
from notes import services
from notes.models import ProviderCall, Summary

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = int(os.environ.get("CHAOS_CALLS", "15"))
WORKER_KILLS = range(8, CALLS, 100)  # numbers of calls after which a whole worker is killed
TIMEOUT_S = 1.5
ATTEMPTS = 2 if CALLS > 100 else 1  # within one run; the pause before the second takes a second
PROMPT_PRICE, COMPLETION_PRICE = Decimal("0.15"), Decimal("0.60")  # USD per million tokens
NO_USAGE = Usage()


class Chaos:
    """The provider's behaviour: random failures, and requests during which a worker is killed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.child_kills = self.worker_kills = 0
        self.worker: Worker | None = None

    def __call__(self, exchange: ai.Exchange) -> None:
        self._choose_behaviour(exchange.number)(exchange)

    def _choose_behaviour(self, number: int) -> ai.Behaviour:
        late = ai.slow(self.random.uniform(0, 0.2))
        if number % 20 == 7:
            return in_sequence(self.kill_child, late)
        if number % 20 == 14:
            return in_sequence(late, self.kill_child)
        weighted = [
            (60, late),
            (12, ai.server_error()),
            (8, ai.rate_limited(0)),
            (5, ai.cut_off()),
            (5, ai.garbage()),
            (4, ai.hang_up()),
            (2, ai.slow(1.5 * TIMEOUT_S)),
        ]
        weights, behaviours = zip(*weighted, strict=True)
        return self.random.choices(behaviours, weights)[0]

    def kill_child(self, exchange: ai.Exchange) -> None:
        """Send SIGKILL to the worker's child that sent the request."""
        if self.worker and (child := self.worker.find_child_by_port(exchange.port)):
            with suppress(psutil.NoSuchProcess):
                child.kill()
                self.child_kills += 1

    def kill_worker(self) -> None:
        """Send SIGKILL to the whole process group, and start another worker."""
        assert self.worker
        worker, self.worker = self.worker, None
        worker.kill()
        self.worker_kills += 1
        self.worker = worker.start().wait_ready()


def in_sequence(*behaviours: ai.Behaviour) -> ai.Behaviour:
    def behave(exchange: ai.Exchange) -> None:
        for behaviour in behaviours:
            behaviour(exchange)

    return behave


@pytest.fixture
def chaos() -> Chaos:
    return Chaos(seed=CALLS)


@pytest.fixture
def provider(chaos: Chaos) -> Iterator[ai.FakeProvider]:
    with ai.FakeProvider(default=chaos) as provider:
        yield provider


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def worker(
    broker: Broker, tmp_path: Path, provider: ai.FakeProvider, chaos: Chaos
) -> Iterator[Worker]:
    environment = {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_TIMEOUT": str(TIMEOUT_S),
        "OPENAI_ATTEMPTS": str(ATTEMPTS),
        "OPENAI_CONTEXT_TOKENS": "4000",
    }
    with (
        Beat(broker.url, tmp_path),
        Worker(broker.url, tmp_path, concurrency=3, environment=environment) as worker,
    ):
        chaos.worker = worker
        yield worker


def create_summaries(by: User, number: int) -> None:
    """Queue six texts; one is so long that it is sent in parts, several at a time."""
    texts = [f"Text {number}.{n} is about a pump that failed." for n in range(5)]
    texts.append(f"Text {number} is long. " + "The pump was looked at by many people. " * 400)
    services.create_batch(by=by, texts=texts, options=services.SummaryOptions())


def skip_waits() -> None:
    """End the pauses between the attempts of a job."""
    waiting = Summary.objects.filter(status=JobStatus.QUEUED, attempts__gt=0, run_after__gt=Now())
    waiting.update(run_after=Now(), publish_after=Now())


def have_all_ended() -> bool:
    skip_waits()
    return not Summary.objects.filter(status__in=ACTIVE).exists()


def read_usage(provider: ai.FakeProvider) -> dict[UUID, Usage]:
    """Return the provider's usage of each request that it got; 0 if it billed nothing."""
    return {
        UUID(request.headers["x-client-request-id"]): Usage(
            request.usage["prompt_tokens"], request.usage["completion_tokens"]
        )
        if request.served and request.usage
        else NO_USAGE
        for request in provider.requests
    }


def compute_price(usage: Usage) -> Decimal:
    return (PROMPT_PRICE * usage.prompt + COMPLETION_PRICE * usage.completion) / 1_000_000


def write_export(usage_by_id: dict[UUID, Usage], path: Path) -> str:
    """Write the provider's usage as a file for `reconcile_calls`."""
    rows = [f"{pk},{usage.prompt},{usage.completion}" for pk, usage in usage_by_id.items()]
    path.write_text("\n".join(("id,prompt_tokens,completion_tokens", *rows)))
    return str(path)


def assert_usage_is_exact_or_bounded(usage_by_id: dict[UUID, Usage]) -> None:
    """Check that each call has the provider's usage or an estimate that is not below it."""
    for pk, call in ProviderCall.objects.in_bulk().items():
        usage = usage_by_id.get(pk, NO_USAGE)
        if call.is_estimate:
            assert call.outcome in {"lost", "timeout", "invalid"}
            assert (call.prompt_tokens, call.completion_tokens, call.cost_usd) == (0, 0, 0)
            assert call.estimated_prompt_tokens >= usage.prompt
            assert call.estimated_completion_tokens >= usage.completion
            assert call.estimated_cost_usd >= compute_price(usage)
        else:
            assert Usage(call.prompt_tokens, call.completion_tokens) == usage
            assert call.cost_usd == compute_price(usage)


def assert_sums_are_equal(usage_by_id: dict[UUID, Usage]) -> None:
    """Check that ledger and summaries have the same sums as the provider."""
    expected = {
        "prompt_tokens": sum(usage.prompt for usage in usage_by_id.values()),
        "completion_tokens": sum(usage.completion for usage in usage_by_id.values()),
    }
    sums = {name: Sum(name) for name in expected}
    assert ProviderCall.objects.aggregate(**sums) == expected
    assert Summary.objects.aggregate(**sums) == expected


def test_usage_is_exact_or_bounded_and_exact_after_reconciling(
    owner: User, provider: ai.FakeProvider, worker: Worker, chaos: Chaos, tmp_path: Path
) -> None:
    batches = 0
    while len(provider.requests) < CALLS:
        if Summary.objects.filter(status__in=ACTIVE).count() < 6:
            create_summaries(owner, batches := batches + 1)
        kills = chaos.worker_kills
        if kills < len(WORKER_KILLS) and len(provider.requests) > WORKER_KILLS[kills]:
            chaos.kill_worker()
        skip_waits()
        time.sleep(0.1)
    eventually(have_all_ended, "all summaries have ended", within=120)
    worker.kill()
    eventually(lambda: all(r.ended for r in provider.requests), "the provider is idle", within=60)

    usage_by_id = read_usage(provider)
    calls = ProviderCall.objects.in_bulk()
    assert len(usage_by_id) == len(provider.requests)  # no id was sent twice
    assert not set(usage_by_id) - set(calls)  # each request has its row
    assert_usage_is_exact_or_bounded(usage_by_id)
    statuses = {UUID(r.headers["x-client-request-id"]): r.status for r in provider.requests}
    assert all(call.status in (None, statuses.get(pk)) for pk, call in calls.items())
    # A row has no request if the worker died, or the summary ended, before it was sent.
    unsent = {pk for pk in calls if pk not in usage_by_id}
    assert {calls[pk].outcome for pk in unsent} <= {"lost", "timeout", "error"}
    assert len(calls) - len(unsent) == len(provider.requests) >= CALLS

    estimates = {pk for pk, call in calls.items() if call.is_estimate}
    assert not ProviderCall.objects.open().exists()
    assert {pk for pk, call in calls.items() if call.outcome == "lost"} <= estimates
    call_command(
        "reconcile_calls", write_export(usage_by_id, tmp_path / "export.csv"), stdout=StringIO()
    )
    assert set(ProviderCall.objects.filter(is_estimate=True).in_bulk()) == estimates & unsent
    assert_usage_is_exact_or_bounded(usage_by_id)
    assert_sums_are_equal(usage_by_id)

    ended = Counter(Summary.objects.values_list("status", flat=True))
    assert set(ended) <= {JobStatus.COMPLETED, JobStatus.FAILED}
    billed = {pk for pk in estimates if usage_by_id.get(pk, NO_USAGE) != NO_USAGE}
    print(
        f"{chaos.child_kills} children and {chaos.worker_kills} whole workers killed; summaries "
        f"{dict(ended)}; {len(provider.requests)} requests, "
        f"{len(calls)} rows: {dict(Counter(call.outcome for call in calls.values()))}; "
        f"{len(unsent)} rows whose request was not sent; {len(estimates)} estimates, "
        f"{len(billed)} of them billed"
    )
