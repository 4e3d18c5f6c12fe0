"""The ledger's books and the provider's own, while all goes wrong that can.

The provider fails, hangs, breaks off and is slow, and the worker's processes are killed at random,
one or all of them, while they ask. `make chaos-ai` does it with a thousand calls and more.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from django.db.models import Sum
from django.db.models.functions import Now

from accounts.models import User
from common.ai.provider.responses import NO_USAGE
from common.ai.types import Usage
from common.jobs.models import ACTIVE, JobStatus
from common.tests.support import Beat, Broker, Worker, eventually
from common.tests.support import ai_provider as ai
from config.local import LocalServices
from config.local.processes import find_by_environment
from notes import services
from notes.models import Call, Summary

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = int(os.environ.get("CHAOS_CALLS", "15"))
MASSACRES = range(8, CALLS, 100)  # after how many calls all of a worker is killed
TIMEOUT = 1.5  # seconds that the provider has
ATTEMPTS = 2 if CALLS > 100 else 1  # within one run; each pause before a second takes a second
PROMPT, COMPLETION = Decimal("0.15"), Decimal("0.60")  # USD for a million tokens


class Chaos:
    """What the provider does with its requests, and to those who ask."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kills = self.massacres = 0
        self.worker: Worker | None = None

    def __call__(self, exchange: ai.Exchange) -> None:
        self._mood(exchange.number)(exchange)

    def _mood(self, number: int) -> ai.Behaviour:
        late = ai.slow(self.random.uniform(0, 0.2))
        if number % 20 == 7:
            return then(self.kill, late)
        if number % 20 == 14:
            return then(late, self.kill)
        moods = [
            (60, late),
            (12, ai.server_error()),
            (8, ai.rate_limited(0)),
            (5, ai.cut_off()),
            (5, ai.garbage()),
            (4, ai.hang_up()),
            (2, ai.slow(1.5 * TIMEOUT)),
        ]
        weights, behaviours = zip(*moods, strict=True)
        return self.random.choices(behaviours, weights)[0]

    def kill(self, exchange: ai.Exchange) -> None:
        """SIGKILL for the worker's child that asks."""
        if self.worker and (child := self.worker.find_child_by_port(exchange.port)):
            with suppress(psutil.NoSuchProcess):
                child.kill()
                self.kills += 1

    def kill_all(self) -> None:
        """SIGKILL for the whole process group, and another worker."""
        assert self.worker
        worker, self.worker = self.worker, None
        worker.kill()
        self.massacres += 1
        self.worker = worker.start().wait_ready()


def then(*behaviours: ai.Behaviour) -> ai.Behaviour:
    """One after the other."""

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
    with Broker(lambda: LocalServices(tmp_path, postgres=False)) as broker:
        yield broker


@pytest.fixture
def worker(
    broker: Broker, tmp_path: Path, provider: ai.FakeProvider, chaos: Chaos
) -> Iterator[Worker]:
    told = {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_TIMEOUT": str(TIMEOUT),
        "OPENAI_ATTEMPTS": str(ATTEMPTS),
        "OPENAI_CONTEXT_TOKENS": "4000",
    }
    with (
        Beat(broker.url, tmp_path),
        Worker(broker.url, tmp_path, concurrency=3, environment=told) as worker,
    ):
        chaos.worker = worker
        yield worker


def ask_for_more(by: User, number: int) -> None:
    """Six texts; one is so long that it goes in parts, several at a time."""
    texts = [f"Text {number}.{n} is about a pump that failed." for n in range(5)]
    texts.append(f"Text {number} is long. " + "The pump was looked at by many people. " * 400)
    services.summarize_batch(by=by, texts=texts, wishes=services.Wishes())


def no_waits() -> None:
    """Let the pauses between a job's tries pass at once."""
    waiting = Summary.objects.filter(status=JobStatus.QUEUED, attempts__gt=0, run_after__gt=Now())
    waiting.update(run_after=Now(), publish_after=Now())


def all_ended() -> bool:
    no_waits()
    return not Summary.objects.filter(status__in=ACTIVE).exists()


def agree(provider: ai.FakeProvider) -> bool:
    """Whether ledger, summaries and provider have the same sums."""
    books = answers(provider).values()
    used = {
        "prompt_tokens": sum(usage.prompt for usage in books),
        "completion_tokens": sum(usage.completion for usage in books),
    }
    summaries = Summary.objects.aggregate(**{name: Sum(name) for name in used})
    ledger = Call.objects.aggregate(**{name: Sum(name) for name in used})
    return used == ledger == summaries


def answers(provider: ai.FakeProvider) -> dict[UUID, Usage]:
    """What the provider has counted for the answers that it sent to their end."""
    return {
        UUID(request.headers["x-client-request-id"]): Usage(
            request.usage["prompt_tokens"], request.usage["completion_tokens"]
        )
        for request in list(provider.requests)
        if request.served and request.usage
    }


def test_the_ledger_agrees_with_the_provider(
    owner: User, provider: ai.FakeProvider, worker: Worker, chaos: Chaos
) -> None:
    asked = 0
    while len(provider.requests) < CALLS:
        if Summary.objects.filter(status__in=ACTIVE).count() < 6:
            ask_for_more(owner, asked := asked + 1)
        if chaos.massacres < len(MASSACRES) and len(provider.requests) > MASSACRES[chaos.massacres]:
            chaos.kill_all()
        no_waits()
        time.sleep(0.1)
    eventually(all_ended, "all summaries have ended", within=120)
    worker.kill()
    name = ("PGAPPNAME", worker.name)  # its couriers' too
    eventually(lambda: not find_by_environment(*name), "all couriers have ended", within=60)
    assert all(request.ended for request in provider.requests)
    assert agree(provider)

    told = {UUID(r.headers["x-client-request-id"]): r for r in provider.requests}
    answered = answers(provider)
    calls = Call.objects.in_bulk()
    assert len(told) == len(provider.requests)  # no id was sent twice
    assert not set(told) - set(calls)  # no request without its row
    assert not Call.objects.open().exists()
    # A row without a request: before that was sent its worker died, its summary was given up, or
    # its time was over.
    unseen = {pk for pk in calls if pk not in told}
    assert all(calls[pk].status is None for pk in unseen)
    assert {calls[pk].outcome for pk in unseen} <= {"lost", "error", "timeout"}

    for pk, call in calls.items():
        usage = answered.get(pk, NO_USAGE)
        assert Usage(call.prompt_tokens, call.completion_tokens) == usage
        price = PROMPT * usage.prompt + COMPLETION * usage.completion
        assert call.cost_usd == price / 1_000_000
        if call.status is not None:
            assert call.status == told[pk].status
        if call.outcome == "ok":
            assert pk in answered
    # What was answered and is no summary's: who asked had died, had given up or waited no longer.
    unread = {pk for pk in answered if calls[pk].outcome != "ok"}
    assert {calls[pk].outcome for pk in unread} <= {"lost", "timeout", "error"}
    assert len(calls) - len(unseen) == len(provider.requests) >= CALLS

    ended = Counter(Summary.objects.values_list("status", flat=True))
    assert set(ended) <= {JobStatus.COMPLETED, JobStatus.FAILED}
    print(  # noqa: T201 - what `make chaos-ai` is for
        f"{chaos.kills} children and {chaos.massacres} whole workers killed; summaries "
        f"{dict(ended)}; {len(provider.requests)} requests, "
        f"{len(calls)} rows: {dict(Counter(call.outcome for call in calls.values()))}; "
        f"{len(unseen)} rows whose request never left; {len(unread)} answers put down late"
    )
